// Anthropic's SDK: whole, streamed and accumulated, counting, and a class for each
// status, with the model of the first argument.
import Anthropic from "@anthropic-ai/sdk";
import assert from "node:assert/strict";

const model = process.argv[2];
const settings = { baseURL: process.env.PROXY_URL, apiKey: process.env.PROXY_KEY, maxRetries: 0, timeout: 30_000 };
const claude = new Anthropic(settings);
const messages = [{ role: "user", content: "Say hello" }];

const whole = await claude.messages.create({ model, max_tokens: 1000, messages });
assert.equal(whole.content[0].text, "You said: Say hello");
assert.equal(whole.stop_reason, "end_turn");

let deltas = "";
const stream = claude.messages.stream({ model, max_tokens: 1000, messages });
stream.on("text", (text) => (deltas += text));
const final = await stream.finalMessage();
assert.equal(deltas, "You said: Say hello");
assert.deepEqual([final.content.at(-1).text, final.stop_reason, final.model], [deltas, "end_turn", model]);
assert.ok(final.usage.input_tokens > 0 && final.usage.output_tokens > 0);

const count = await claude.messages.countTokens({ model, messages });
assert.ok(count.input_tokens > 0);

const raised = async (kind, options, request) => {
    const ask = new Anthropic({ ...settings, ...options }).messages.create({ model, max_tokens: 9, messages, ...request });
    await assert.rejects(ask, (error) => error.constructor === kind && error.error.type === "error");
};
await raised(Anthropic.BadRequestError, {}, { max_tokens: 0 });
await raised(Anthropic.AuthenticationError, { apiKey: "sk-wrong-client" }, {});
await raised(Anthropic.NotFoundError, {}, { model: "gpt-nonsense" });
