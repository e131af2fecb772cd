// 简体中文。
export default {
  title: "模型 API 代理管理", skip: "跳到正文", language: "语言", theme: "主题", languageAuto: "语言：自动", themeAuto: "主题：自动", light: "浅色", dark: "深色", sections: "章节",
  loading: "加载中…", today: "今天", add: "添加", cancel: "取消", save: "保存", saved: "已保存。", copy: "复制", copied: "已复制。",
  copyByHand: "请复制这段文字：", delete: "删除…", deleted: "已删除。", edit: "编辑…", enable: "启用", disable: "停用", enabled: "已启用。", disabled: "已停用。",
  dismiss: "关闭", done: "完成", reload: "重新加载", retry: "立即重试", never: "从未", justNow: "刚刚", ago: "{time}前",
  durationDays: "{d} 天 {h} 小时", durationHours: "{h} 小时 {m} 分", durationMinutes: "{m} 分 {s} 秒", durationSeconds: "{s} 秒",
  typeToConfirm: "请输入“{word}”以确认", nothingYet: "暂无数据。", numbers: "数据", time: "时间", sum: "合计", most: "最高",

  readyTitle: "运行正常", readyText: "{all} 个凭据中有 {usable} 个可用。", readyResting: "冷却或被拒的模型：{n}。",
  partlyTitle: "部分模型不可用", partlyText: "{models} 暂无凭据可用。最早恢复还需",
  emptyTitle: "还没有凭据", emptyText: "请在下方添加 Gemini API 密钥或登录 Google 账号；在此之前无法回答任何请求。",
  coolingTitle: "所有凭据都在冷却", coolingText: "Google 的限额暂时用尽。最早恢复还需",
  brokenTitle: "没有可用的凭据", brokenText: "下方列表说明了每个凭据的原因和处理办法。",
  loginTitle: "请重新登录", goneTitle: "服务器没有响应", goneText: "当前显示的是之前的数据，页面会不时重试。", gone: "服务器没有响应。",
  clock: "本设备与服务器的时钟相差 {time}。服务器时钟不准时 Google 会拒绝登录。",

  welcome: "三步得到第一个回答", step1Text: "Gemini API 密钥是官方方式；Google 登录需要许可证。",
  step2: "为程序创建密钥", step2Text: "程序用它访问本服务器，与 Google 的密钥无关。",
  step3Text: "选择程序，复制设置，并在本页试一个回答。",

  tileFailed: "{n} 个失败，其中 {away} 个在此被拒", tileAllGood: "没有失败", last24h: "最近 24 小时的请求", tileSuccess: "成功率", tile429: "{n} 次超限 (429)",
  tilePrompt: "提示词元", tileCached: "缓存 {n}", tileAnswer: "回答词元", tileThinking: "思考 {n}", tileLatency: "耗时", tileP95: "95% 在 {time} 内",
  uptime: "已运行 {time}", memory: "内存 {n}", workers: "忙碌线程 {busy}/{all}", queued: "排队 {n}", connections: "连接 {n}",

  credentials: "凭据", kindKey: "API 密钥", kindGoogle: "Google 登录", id: "编号", account: "账号", project: "项目", locations: "位置", used: "使用次数", lastUsed: "最近使用", tokenUntil: "令牌有效至", okFailed: "成功 {ok}，失败 {failed}",
  stateReady: "可用", statePartly: "可用，部分模型除外", stateResting: "冷却还剩", stateDisabled: "已停用", stateRefreshing: "正在更新令牌", stateError: "需要处理", stateExpired: "令牌过期，使用时更新", stateUnavailable: "不可用", restsFor: "冷却还剩", refusedFor: "被拒绝，再次尝试还需",
  whatToDo: "处理办法", check: "检查", refresh: "更新令牌", quota: "配额", resetCooling: "结束冷却", resetError: "重试", quotaAt: "{time} 时的剩余", quotaLeft: "{model} 的剩余配额", quotaReset: "恢复还需", quotaNone: "无法取得配额：{why}",
  checkGood: "正常。", checkBad: "不正常：{why}", refreshed: "令牌已更新。", wasReset: "冷却已结束。", label: "标签", projectHint: "当前：{now}。留空则不变。", editTitle: "编辑 {name}",
  deleteTitle: "删除 {name}", deleteText: "它会从凭据文件中移除。不会通知 Google；可在 Google 账号中撤销登录授权。",

  addTitle: "添加凭据", addKeys: "Gemini API 密钥", addKeysNote: "官方方式，可免费开始", addKeysHelp: "在 Google AI Studio 创建后粘贴到这里；多个密钥每行一个。", addKeysLabel: "API 密钥，每行一个", addKeysButton: "添加密钥",
  addGoogleNote: "需要 Gemini Code Assist 许可证", addGoogleHelp: "Google 只为 Code Assist 标准版和企业版许可证提供此登录，其条款禁止第三方软件使用。",
  googleButton: "登录 Google", googleButtonNote: "在新标签页打开；完成后本页会自动更新", pasteTitle: "从另一台机器（VPS）", pasteStart: "生成登录链接", pasteLink: "打开 Google 授权页",
  pasteLabel: "粘贴授权码，或浏览器最后停留的完整地址（即使该页面没有打开）", pasteFinish: "完成登录",
  addJson: "凭据 JSON", addJsonLabel: "粘贴 JSON：一个对象或列表；也可以拖入文件", addJsonFile: "或选择文件", notJson: "该文件不是 JSON。",
  resultAdded: "已添加", resultUpdated: "已更新", resultRefused: "被拒绝",

  usage: "用量", range: "范围", range24h: "24 小时", range7d: "7 天", range30d: "30 天", usageReset: "清零…", usageResetTitle: "用量清零", usageResetText: "所有日期的计数都会归零，无法撤销。", usageResetConfirm: "清零", usageWasReset: "用量已清零。",
  plotLatency: "各模型耗时与首词元", plotFailures: "失败原因", noFailures: "此范围内没有失败。", failuresNote: "共 {n}：向 Google 的失败尝试，以及在此被拒的请求", turnedAway: "在此被拒", noModel: "（没有此模型）", nobodyAsked: "（未询问 Google）",
  failure_proxy_rate_limit_exceeded: "超出密钥限制", failure_proxy_model_not_found: "未知模型", failure_proxy_model_not_allowed: "密钥不允许该模型", failure_proxy_invalid_request_error: "请求无法理解",
  failure_google_400: "请求被拒绝", failure_google_401: "登录或密钥被拒绝", failure_google_403: "不允许", failure_google_404: "模型未知或未开放", failure_google_429: "限制或配额已用尽", failure_google_5xx: "Google 自身故障", failure_google_Exception: "没有可用的回答", sharesNote: "占比", p50p95: "半数以内 – 95% 以内",
  answered: "成功", failed: "失败", prompt: "提示", answer: "回答", thinking: "思考", cached: "缓存", tokens: "词元", ttft: "首词元",
  byModel: "按模型", byKey: "按客户端密钥", byCredential: "按凭据", model: "模型", key: "密钥", credential: "凭据",

  keys: "客户端密钥", keyAdd: "新密钥…", keyAddTitle: "新客户端密钥", keyAddText: "密钥自动生成，只显示一次。留空表示不限。", keyAddConfirm: "创建密钥", keyOnce: "这是新密钥，只在现在显示：", keyOnceNote: "服务器只保存其哈希。下方的设置已经填入它。",
  noKeys: "没有客户端密钥。", name: "名称", limits: "限制", noLimits: "无", todayUse: "{requests} 次请求，{tokens} 词元", limitsButton: "限制…", limitsOf: "{name} 的限制", limitsText: "留空表示不限。", keyDeleteText: "使用此密钥的程序将立即被拒绝。",
  limit_requests_per_minute: "每分钟 {n}", limit_requests_per_day: "每天 {n}", limit_tokens_per_day: "每天 {n} 词元", limit_tokens_per_month: "每月 {n} 词元", limit_dollars_per_day: "每天 {n} 美元", limit_dollars_per_month: "每月 {n} 美元", limit_concurrency: "并发 {n}", expires: "有效至 {time}",
  field_requests_per_minute: "每分钟请求数", field_requests_per_day: "每天请求数", field_tokens_per_day: "每天词元数", field_tokens_per_month: "每月词元数", field_dollars_per_day: "每天美元数", field_dollars_per_month: "每月美元数", field_concurrency: "并发数", field_expires_at: "最后一天", field_models_hint: "用逗号分隔；留空表示全部。",

  clients: "连接", clientsTitle: "连接程序", clientName: "程序", clientKey: "客户端密钥", clientKeyNote: "服务器不会再次显示密钥，请在此粘贴以填入设置。它只留在本标签页。",
  dockerNote: "在 Docker 中 localhost 指容器本身：请用 host.docker.internal 或主机地址。", cursorNote: "Cursor 从它自己的服务器发起调用：需要公网 https 地址。",
  try: "试一试", tryQuestion: "问题", tryQuestionText: "用一句话打个招呼。", trySend: "发送", tryStop: "停止", tryStopped: "已停止。", waiting: "等待首词元…", tryDone: "首词元 {first} 秒，全部 {all} 秒，{tokens} 词元。",

  requests: "请求", requestsTitle: "最近请求", filter: "筛选", filter_credentials: "名称、项目、模型…", filter_keys: "名称、密钥、模型…", chipResting: "冷却中", noneMatches: "没有符合的。", showMore: "再显示 {n} 个", filterHint: "模型、密钥、状态、编号…", pause: "暂停", outcomeAll: "任何结果", rangeLast: "最近 200 个", rangeAll: "全部保留的", cost: "费用", unpriced: "（{n} 次没有价格）", noRequests: "启动以来没有请求。", noMatch: "没有符合筛选的请求。", status: "状态", attempts: "（{n} 次尝试）",
  sortBy: "排序", sort_: "添加顺序", sort_name: "名称", sort_state: "状态", "sort_-used": "使用最多", "sort_-last_used": "最近使用", sort_expires: "最先到期",
  select: "选择 {name}", selectPage: "选择本页", selectAll: "选择全部符合的 {n} 个", selectNone: "取消选择", selected: "已选 {n} 个", previous: "上一页", next: "下一页", pageOf: "{from}–{to}，共 {all}", times: "{n} 次",
  bulk_reset: "结束冷却", bulk_delete: "删除", bulkAll: "所有符合筛选的，包括其他页上的。", bulkWell: "已完成 {n} 个。", bulkDone: "完成 {done} 个，失败 {failed} 个：",
  signOut: "退出登录", signOutBasic: "此登录由浏览器自己保存，关闭浏览器后才会忘记。",
  models: "模型", modelsNote: "名称、别名、路由，以及现在由谁提供", servedBy: "{all} 个中有 {n} 个可提供", kind_text: "文本", kind_pictures: "图片", kind_speech: "语音", kind_embeddings: "嵌入", notListed: "不在列表中", aliasOf: "指向", servedAs: "实际由", andMore: "另有 {n} 个",
  stateActive: "有效", stateOver: "额度已用完", stateEnded: "已到期", keyInConfig: "此密钥写在 config.json 中，请在那里修改。",
  settings: "设置", settingsNote: "从 config.json 读取；机密已遮盖。修改文件后发送 SIGHUP 或重启；docs/configuration.md 说明哪些需要重启。", setting: "设置项", value: "值", source: "来源", source_file: "config.json", source_default: "默认", log: "日志",
  replicas: "副本", replica: "副本", replicaVersion: "版本", replicaSince: "启动于", replicaBusy: "忙碌线程", replicaBeat: "最近心跳", replicaClock: "时钟快", replicaConfig: "与此处不同的配置",

  meTitle: "我的用量", meOpenTitle: "用您的客户端密钥打开", meOpenNote: "密钥只留在本标签页，直到您退出或关闭它；它只发送给本服务器。", meOpen: "打开", meWrongKey: "此密钥不存在、已停用或已到期。请联系此代理的管理者。", meMonth: "本月", meRefused: "本月在询问 Google 之前被拒绝的请求（超出限制，或密钥不可使用该模型）：{n}",
  meLeftTitle: "剩余额度", meLeft: "剩余 {left}，共 {limit}", meUsed: "已用：{name}", meEnds: "距重新开始", meNoLimits: "没有每天或每月的限制。", meAllModels: "全部", meUseTitle: "本月明细", meByDay: "按日", meDay: "日期（UTC）", meNothing: "本月没有请求。",
};
