// A request that fails, by one SDK; the arguments are those of `refused.py`.
import Anthropic from "@anthropic-ai/sdk";
import assert from "node:assert/strict";
import OpenAI from "openai";

const [surface, what, name, status, way] = process.argv.slice(2);
const SDK = surface === "messages" ? Anthropic : OpenAI;
const client = new SDK({
    baseURL: process.env.PROXY_URL + (surface === "messages" ? "" : "/v1"),
    apiKey: what === "key" ? "sk-wrong-client" : process.env.PROXY_KEY,
    maxRetries: 0,
    timeout: 30_000,
});
const text = what === "large" ? "x".repeat(3 << 19) : "Say hello";
const request = {
    model: what === "model" ? "gpt-nonsense" : "gemini-2.5-flash",
    stream: way === "stream",
    temperature: what === "body" ? "warm" : 1,
};
const messages = [{ role: "user", content: text }];
const ask = {
    chat: () => client.chat.completions.create({ ...request, messages }),
    responses: () => client.responses.create({ ...request, input: text }),
    messages: () => client.messages.create({ ...request, messages, max_tokens: 99 }),
}[surface];
await assert.rejects(ask(), (error) => {
    const shown = surface === "messages" ? error.error.error : error.error;
    assert.equal(error.constructor.name, name, `${error}`);
    assert.equal(error.constructor, SDK[name]);
    assert.equal(error.status, Number(status), `${error}`);
    assert.ok(shown.message && shown.type, JSON.stringify(error.error));
    return true;
});
