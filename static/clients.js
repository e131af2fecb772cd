// What to paste into programs, and one answer to try. The key stays in this tab.
import { $, asks, button, h, note, onAction, onSubmit, remark, render } from "./dom.js";
import { t } from "./text.js";
import { askAsClient, sentence } from "./api.js";
import { copy } from "./dialog.js";

// Each is a list of { field name: value } for programs with a settings page, or a text for those with files.
const CLIENTS = {
  "NextChat": (c) => ({ fields: { "Endpoint": c.base, "API Key": c.key, "Custom Model": `+${c.model}`, "Model": c.model } }),
  "LobeChat": (c) => ({ fields: { "API Proxy URL": `${c.base}/v1`, "API Key": c.key, "Model List": c.model } }),
  "Cherry Studio": (c) => ({ fields: { "Provider Type": "OpenAI", "API Host": c.base, "API Key": c.key, "Model ID": c.model } }),
  "Open WebUI": (c) => ({ fields: { "URL": `${c.base}/v1`, "Key": c.key, "Model IDs": c.model, "Images: Open AI, model": "gemini-3.1-flash-image", "Audio: OpenAI, STT model": "whisper-1", "Audio: OpenAI, TTS model, voice": "tts-1, alloy" }, note: "dockerNote" }),
  "SillyTavern": (c) => ({ fields: { "Chat Completion Source": "Custom (OpenAI-compatible)", "Custom Endpoint (Base URL)": `${c.base}/v1`, "Custom API Key": c.key, "Enter a Model ID": c.model }, note: "dockerNote" }),
  "Cline / Roo Code": (c) => ({ fields: { "API Provider": "OpenAI Compatible", "Base URL": `${c.base}/v1`, "API Key": c.key, "Model ID": c.model } }),
  "Cursor": (c) => ({ fields: { "Override OpenAI Base URL": `${c.base}/v1`, "OpenAI API Key": c.key, "Add model": c.model }, note: "cursorNote" }),
  "curl": (c) => ({ text: `curl -N '${c.base}/v1/chat/completions' \\\n  -H 'Authorization: Bearer ${c.key}' \\\n  -H 'Content-Type: application/json' \\\n  -d '{"model":"${c.model}","stream":true,"messages":[{"role":"user","content":"Hello"}]}'` }),
  "OpenAI Python": (c) => ({ text: `from openai import OpenAI\n\nclient = OpenAI(base_url="${c.base}/v1", api_key="${c.key}")\nanswer = client.chat.completions.create(\n    model="${c.model}",\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.choices[0].message.content)` }),
  "OpenAI Node": (c) => ({ text: `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: "${c.base}/v1", apiKey: "${c.key}" });\nconst answer = await client.chat.completions.create({\n  model: "${c.model}",\n  messages: [{ role: "user", content: "Hello" }],\n});\nconsole.log(answer.choices[0].message.content);` }),
  "Codex": (c) => ({ file: "~/.codex/config.toml", text: `model = "${c.model}"\nmodel_provider = "gemini"\n\n[model_providers.gemini]\nname = "gemini"\nbase_url = "${c.base}/v1"\nenv_key = "GEMINI_PROXY_KEY"\nwire_api = "responses"\n\n# export GEMINI_PROXY_KEY='${c.key}'` }),
  "Claude Code": (c) => ({ text: `export ANTHROPIC_BASE_URL='${c.base}'\nexport ANTHROPIC_API_KEY='${c.key}'\nexport ANTHROPIC_MODEL='${c.model}'\nclaude` }),
  "opencode": (c) => ({ file: "opencode.json", text: JSON.stringify({ $schema: "https://opencode.ai/config.json", model: `google/${c.model}`, provider: { google: { npm: "@ai-sdk/openai-compatible", options: { baseURL: `${c.base}/v1`, apiKey: c.key }, models: { [c.model]: {} } } } }, null, 2) }),
  "Qwen Code": (c) => ({ text: `export OPENAI_BASE_URL='${c.base}/v1'\nexport OPENAI_API_KEY='${c.key}'\nexport OPENAI_MODEL='${c.model}'\nqwen` }),
  "Cline CLI": (c) => ({ text: `cline auth -p openai -b '${c.base}/v1' -k '${c.key}' -m '${c.model}'\ncline` }),
  "aider": (c) => ({ text: `export OPENAI_API_BASE='${c.base}/v1'\nexport OPENAI_API_KEY='${c.key}'\naider --model 'openai/${c.model}'` }),
  "llm": (c) => ({ file: "extra-openai-models.yaml", text: `- model_id: gemini\n  model_name: ${c.model}\n  api_base: ${c.base}/v1\n  api_key_name: gemini-proxy\n  supports_tools: true\n  supports_schema: true\n  vision: true\n\n# llm keys set gemini-proxy --value '${c.key}'` }),
  "AI SDK": (c) => ({ text: `import { createOpenAI } from "@ai-sdk/openai";\nimport { streamText } from "ai";\n\nconst gemini = createOpenAI({ baseURL: "${c.base}/v1", apiKey: "${c.key}" });\nconst { textStream } = streamText({ model: gemini("${c.model}"), prompt: "Hello" });\nfor await (const text of textStream) process.stdout.write(text);` }),
  "openai-agents": (c) => ({ text: `from agents import Agent, OpenAIResponsesModel, Runner, set_tracing_disabled\nfrom openai import AsyncOpenAI\n\nset_tracing_disabled(True)\ngemini = AsyncOpenAI(base_url="${c.base}/v1", api_key="${c.key}")\nmodel = OpenAIResponsesModel(model="${c.model}", openai_client=gemini)\nprint(Runner.run_sync(Agent(name="Helper", model=model), "Hello").final_output)` }),
  "Gemini CLI": (c) => ({ text: `export GOOGLE_GEMINI_BASE_URL='${c.base}'\nexport GEMINI_API_KEY='${c.key}'\ngemini -m ${c.model}` }),
};

const MODEL = "gemini-3.8-flash";

let address = location.origin;
const made = new Map();
let running = null;

const chosen = () => ({ base: address, key: $("client-key").value.trim() || "YOUR_KEY", model: $("client-model").value.trim() || MODEL });

function snippet() {
  const { fields, file, text, note: hint } = CLIENTS[$("client").value](chosen());
  render($("snippet"),
    fields && h("dl", { class: "settings" }, Object.entries(fields).map(([name, value]) => [h("dt", null, name),
      h("dd", null, h("code", null, value), button("copy", t("copy"), { "aria-label": `${t("copy")}: ${name}`, "data-text": value }))])),
    text && h("div", { class: "code" }, h("div", { class: "head" }, note(file ?? ""), button("copy", t("copy"), { "data-text": text })), h("pre", { tabindex: "0" }, text)),
    hint && remark(t(hint)));
}

export function drawClients({ status, stats }) {
  const base = status?.address?.replace(/\/+$/, "");
  if (base && base !== address) address = base;
  if ((status?.alerts ?? []).some((alert) => alert.code === "default_key") && !$("client-key").dataset.filled) fill("123456");
  render($("known-keys"), [...made].map(([key, name]) => h("option", { value: key }, name)));
  const models = new Set([...(stats?.models ?? []).map((m) => m.model), MODEL, "gemini-3.1-pro-preview"]);
  render($("known-models"), [...models].map((model) => h("option", { value: model })));
  snippet();
}

function fill(key) {
  $("client-key").value = key;
  $("client-key").dataset.filled = "yes";
}

// A key that was just made: the only moment at which the page knows one.
export function offerKey(key, name) {
  made.set(key, name);
  fill(key);
  snippet();
}

const field = (id, word, attributes, kind) => h("label", { class: kind }, h("span", { "data-t": word }), h("input", { id, spellcheck: "false", autocomplete: "off", ...attributes }));

// Builds the card. Where the page knows the key, what asks for it can be hidden: it is of the class `asks`.
export function startClients() {
  $("clients").prepend(h("div", { class: "head" }, h("h2", { id: "clients-title", "data-t": "clientsTitle" })), h("div", { class: "card" },
    h("div", { class: "fields" }, h("label", null, h("span", { "data-t": "clientName" }), h("select", { id: "client" })),
      field("client-key", "clientKey", { list: "known-keys", placeholder: "sk-…" }, "asks"),
      field("client-model", "model", { list: "known-models", value: MODEL })),
    h("datalist", { id: "known-keys" }), h("datalist", { id: "known-models" }),
    h("p", { class: "note asks", "data-t": "clientKeyNote" }), h("div", { id: "snippet" }), h("h3", { "data-t": "try" }),
    asks("form-try", "tryQuestion", "trySend", "hidden", h("button", { type: "button", id: "try-stop", "data-t": "tryStop", hidden: true })),
    h("div", { id: "try-answer", class: "answer", "aria-live": "polite", hidden: true }), h("p", { id: "try-note", class: "note" })));
  $("client").append(...Object.keys(CLIENTS).map((name) => h("option", { value: name }, name)));
  $("client").value = localStorage.getItem("client") in CLIENTS ? localStorage.getItem("client") : "curl";
  $("client").addEventListener("change", () => { localStorage.setItem("client", $("client").value); snippet(); });
  for (const id of ["client-key", "client-model"]) $(id).addEventListener("input", snippet);
  onAction($("snippet"), { copy: (_, source) => copy(source.dataset.text) });
  $("try-stop").addEventListener("click", () => running?.abort());
  onSubmit("form-try", async ({ text }) => {
    running?.abort();
    running = new AbortController();
    const mine = running;
    $("try-stop").hidden = false;
    try {
      await answer(text.value, mine.signal);
    } catch (failure) {
      $("try-note").textContent = failure.name === "AbortError" ? t("tryStopped") : failure.message;
    } finally {
      if (running === mine) $("try-stop").hidden = true;
    }
  });
}

// Streams one answer into the page, thoughts apart from the text.
async function answer(question, signal) {
  const { key, model } = chosen();
  const began = performance.now();
  const seconds = () => ((performance.now() - began) / 1000).toFixed(2);
  const [thoughts, text] = [h("p", { class: "note" }), h("p")];
  $("try-answer").replaceChildren(thoughts, text);
  $("try-answer").hidden = true;
  $("try-note").textContent = t("waiting");
  const body = { model, stream: true, stream_options: { include_usage: true }, messages: [{ role: "user", content: question }] };
  const response = await askAsClient("v1/chat/completions", key, { body, signal });
  let first = null;
  let usage = null;
  for await (const event of events(response.body)) {
    if (event.error) throw new Error(sentence(event));
    usage = event.usage ?? usage;
    const delta = event.choices?.[0]?.delta ?? {};
    if (delta.content || delta.reasoning_content) first ??= seconds();
    $("try-answer").hidden = false;
    thoughts.textContent += delta.reasoning_content ?? "";
    text.textContent += delta.content ?? "";
  }
  $("try-note").textContent = t("tryDone", { first: first ?? "–", all: seconds(), tokens: usage?.total_tokens ?? "–" });
}

// The JSON of each `data:` line until `[DONE]`.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      const data = line.startsWith("data:") ? line.slice(5).trim() : "";
      if (data === "[DONE]") return;
      if (data) yield JSON.parse(data);
    }
  }
}
