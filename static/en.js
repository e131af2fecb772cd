// English.
export default {
  title: "Model API Proxy Management", skip: "Skip to the content", language: "Language", theme: "Theme", languageAuto: "Language: auto", themeAuto: "Theme: auto", light: "Light", dark: "Dark", sections: "Sections",
  loading: "Loading…", today: "Today", add: "Add", cancel: "Cancel", save: "Save", saved: "Saved.", copy: "Copy", copied: "Copied.",
  copyByHand: "Copy this text:", delete: "Delete…", deleted: "Deleted.", edit: "Edit…", enable: "Enable", disable: "Disable", enabled: "Enabled.", disabled: "Disabled.",
  dismiss: "Dismiss", done: "done", reload: "Reload", retry: "Try now", never: "never", justNow: "just now", ago: "{time} ago",
  durationDays: "{d} d {h} h", durationHours: "{h} h {m} min", durationMinutes: "{m} min {s} s", durationSeconds: "{s} s",
  typeToConfirm: "Type “{word}” to confirm", nothingYet: "Nothing yet.", numbers: "Numbers", time: "Time", sum: "Total", most: "most",

  readyTitle: "It works", readyText: "{usable} of {all} credentials can serve now.", readyResting: "Models resting or refused: {n}.",
  partlyTitle: "Not all models can be served", partlyText: "No credential can serve {models} now. The first is back in",
  emptyTitle: "No credential yet", emptyText: "Add a Gemini API key or sign in with Google below; nothing can be answered before that.",
  coolingTitle: "All credentials are resting", coolingText: "Google's limits are used up for now. The first one is back in",
  brokenTitle: "No credential can serve", brokenText: "The list below says why for each of them, and what to do.",
  loginTitle: "Please log in again", goneTitle: "The server does not answer", goneText: "What you see is from before; it is asked again from time to time.", gone: "The server does not answer.",
  clock: "The clocks of this device and the server differ by {time}. Google refuses logins when the server's clock is wrong.",

  welcome: "Three steps to the first answer", step1Text: "A Gemini API key is the official way; a Google sign-in needs a licence.",
  step2: "Make a key for your programs", step2Text: "Programs show it to this server. It has nothing to do with Google's keys.",
  step3Text: "Choose it, copy its settings, and try one answer on this page.",

  tileFailed: "{n} failed, {away} of them turned away here", tileAllGood: "none failed", last24h: "Requests over the last 24 hours", tileSuccess: "Answered", tile429: "{n} over limit (429)",
  tilePrompt: "Prompt tokens", tileCached: "{n} cached", tileAnswer: "Answer tokens", tileThinking: "{n} thinking", tileLatency: "Duration", tileP95: "95% within {time}",
  uptime: "up {time}", memory: "memory {n}", workers: "threads busy {busy} of {all}", queued: "waiting {n}", connections: "connections {n}",

  credentials: "Credentials", kindKey: "API key", kindGoogle: "Google sign-in", id: "id", account: "account", project: "project", locations: "locations", used: "used", lastUsed: "last used", tokenUntil: "token until", okFailed: "{ok} answered, {failed} failed",
  stateReady: "Ready", statePartly: "Ready for some models", stateResting: "Rests for", stateDisabled: "Disabled", stateRefreshing: "Renewing its token", stateError: "Needs you", stateExpired: "Token expired, renewed on use", stateUnavailable: "Not available", restsFor: "rests for", refusedFor: "refused, asked again in",
  whatToDo: "What to do", check: "Check", refresh: "Renew token", quota: "Quota", resetCooling: "End rest", resetError: "Try again", quotaAt: "Left at {time}", quotaLeft: "Quota left for {model}", quotaReset: "full again in", quotaNone: "No quota: {why}",
  checkGood: "Healthy.", checkBad: "Not healthy: {why}", refreshed: "Token renewed.", wasReset: "The rest is over.", label: "Label", projectHint: "Now: {now}. Leave empty to keep it.", editTitle: "Edit {name}",
  deleteTitle: "Delete {name}", deleteText: "It leaves the credentials file. Google is not told: revoke a sign-in in your Google account.",

  addTitle: "Add a credential", addKeys: "Gemini API keys", addKeysNote: "the official way, free to start", addKeysHelp: "Make one in Google AI Studio, then paste it here; several keys one per line.", addKeysLabel: "API keys, one per line", addKeysButton: "Add keys",
  addGoogleNote: "needs a Gemini Code Assist licence", addGoogleHelp: "Google serves it for Code Assist Standard and Enterprise licences only; its terms forbid it in third-party software.",
  googleButton: "Sign in with Google", googleButtonNote: "opens a new tab; this page notices when it is done", pasteTitle: "From another machine (VPS)", pasteStart: "Make a sign-in link", pasteLink: "Open Google's consent page",
  pasteLabel: "Paste the code, or the whole address your browser ended at (even if that page did not open)", pasteFinish: "Finish sign-in",
  addJson: "Credential JSON", addJsonLabel: "Paste JSON: one object or a list; or drop a file here", addJsonFile: "Or choose files", notJson: "That file is not JSON.",
  resultAdded: "added", resultUpdated: "updated", resultRefused: "refused",

  usage: "Usage", range: "Range", range24h: "24 hours", range7d: "7 days", range30d: "30 days", usageReset: "Reset…", usageResetTitle: "Reset usage", usageResetText: "All counters of all days go back to zero. This cannot be undone.", usageResetConfirm: "Reset", usageWasReset: "Usage was reset.",
  plotLatency: "Duration and first token by model", plotFailures: "Failures by reason", noFailures: "None in this range.", failuresNote: "{n} attempts at Google that failed, and requests turned away here", turnedAway: "turned away", noModel: "(no such model)", nobodyAsked: "(Google was not asked)",
  failure_proxy_rate_limit_exceeded: "over the key's limit", failure_proxy_model_not_found: "unknown model", failure_proxy_model_not_allowed: "model not allowed for the key", failure_proxy_invalid_request_error: "request not understood",
  failure_google_400: "request refused", failure_google_401: "login or key refused", failure_google_403: "not allowed", failure_google_404: "model unknown or not open", failure_google_429: "limit or quota used up", failure_google_5xx: "Google's own trouble", failure_google_Exception: "no usable answer", sharesNote: "share of all", p50p95: "half within – 95% within",
  answered: "answered", failed: "failed", prompt: "Prompt", answer: "Answer", thinking: "Thinking", cached: "Cached", tokens: "Tokens", ttft: "First token",
  byModel: "By model", byKey: "By client key", byCredential: "By credential", model: "Model", key: "Key", credential: "Credential",

  keys: "Client keys", keyAdd: "New key…", keyAddTitle: "New client key", keyAddText: "The key is generated and shown once. Empty fields mean no limit.", keyAddConfirm: "Make key", keyOnce: "Your new key. It is shown only now:", keyOnceNote: "The server keeps a hash of it. The settings below already use it.",
  noKeys: "No client keys.", name: "Name", limits: "Limits", noLimits: "none", todayUse: "{requests} requests, {tokens} tokens", limitsButton: "Limits…", limitsOf: "Limits of {name}", limitsText: "Empty fields mean no limit.", keyDeleteText: "Programs that use this key are refused from now on.",
  limit_requests_per_minute: "{n} a minute", limit_requests_per_day: "{n} a day", limit_tokens_per_day: "{n} tokens a day", limit_tokens_per_month: "{n} tokens a month", limit_dollars_per_day: "${n} a day", limit_dollars_per_month: "${n} a month", limit_concurrency: "{n} at a time", expires: "until {time}",
  field_requests_per_minute: "Requests per minute", field_requests_per_day: "Requests per day", field_tokens_per_day: "Tokens per day", field_tokens_per_month: "Tokens per month", field_dollars_per_day: "US dollars per day", field_dollars_per_month: "US dollars per month", field_concurrency: "At the same time", field_expires_at: "Last day", field_models_hint: "Separated by commas; empty for all.",

  clients: "Connect", clientsTitle: "Connect a program", clientName: "Program", clientKey: "Client key", clientKeyNote: "The server does not show keys again, so paste yours here to fill it in. It stays in this tab.",
  dockerNote: "In Docker, localhost is the container itself: use host.docker.internal or the host's address.", cursorNote: "Cursor calls from its own servers: this needs a public https address.",
  try: "Try it", tryQuestion: "Question", tryQuestionText: "Say hello in one sentence.", trySend: "Send", tryStop: "Stop", tryStopped: "Stopped.", waiting: "Waiting for the first token…", tryDone: "First token after {first} s, all after {all} s, {tokens} tokens.",

  requests: "Requests", requestsTitle: "Recent requests", filter: "Filter", filter_credentials: "name, project, model…", filter_keys: "name, key, model…", chipResting: "Resting", noneMatches: "None matches.", showMore: "Show {n} more", filterHint: "model, key, status, id…", pause: "Pause", outcomeAll: "any outcome", rangeLast: "the last 200", rangeAll: "all that is kept", cost: "Cost", unpriced: "({n} without a price)", noRequests: "No requests since the start.", noMatch: "None matches the filter.", status: "Status", attempts: "({n} attempts)",
  sortBy: "Sort by", sort_: "as added", sort_name: "name", sort_state: "state", "sort_-used": "most used", "sort_-last_used": "last used", sort_expires: "ends first",
  select: "Select {name}", selectPage: "Select this page", selectAll: "Select all {n} that match", selectNone: "Clear", selected: "{n} selected", previous: "Previous", next: "Next", pageOf: "{from}–{to} of {all}", times: "{n} ×",
  bulk_reset: "End rests", bulk_delete: "Delete", bulkAll: "All that match the filter, also those on other pages.", bulkWell: "Done: {n}.", bulkDone: "{done} done, {failed} did not work:",
  signOut: "Sign out", signOutBasic: "The browser itself keeps this login; it forgets it when it is closed.",
  models: "Models", modelsNote: "Names, aliases, routes, and who serves them now", servedBy: "{n} of {all} serve it", kind_text: "text", kind_pictures: "pictures", kind_speech: "speech", kind_embeddings: "embeddings", notListed: "not in the lists", aliasOf: "stands for", servedAs: "served by", andMore: "and {n} more",
  stateActive: "Active", stateOver: "Limit reached", stateEnded: "Expired", keyInConfig: "This key is in config.json; change it there.",
  settings: "Settings", settingsNote: "Read from config.json; secrets are masked. Edit the file, then send SIGHUP or restart; docs/configuration.md says which of them need a restart.", setting: "Setting", value: "Value", source: "From", source_file: "config.json", source_default: "default", log: "Log",
  replicas: "Replicas", replica: "Replica", replicaVersion: "Version", replicaSince: "Since", replicaBusy: "Threads busy", replicaBeat: "Last beat", replicaClock: "Clock ahead", replicaConfig: "Config unlike here",

  meTitle: "My use of this proxy", meOpenTitle: "Open with your client key", meOpenNote: "The key stays in this tab until you sign out or close it, and goes to this server only.", meOpen: "Open", meWrongKey: "This key is not known here, is switched off or has ended. Ask whoever runs this proxy.", meMonth: "This month", meRefused: "Refused this month before Google was asked (a limit, or a model that the key may not use): {n}",
  meLeftTitle: "What is left", meLeft: "{left} left of {limit}", meUsed: "Used of: {name}", meEnds: "begins anew in", meNoLimits: "No limits of days or months.", meAllModels: "all", meUseTitle: "This month in detail", meByDay: "By day", meDay: "Day (UTC)", meNothing: "Nothing was asked this month.",
};
