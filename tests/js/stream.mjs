// `chat.completions.stream` and the plain iterator, with usage, tools and errors.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { openai } from "./client.mjs";

const model = "gemini-2.5-flash";
const hello = [{ role: "user", content: "Say hello" }];

const deltas = [];
const stream = openai.chat.completions.stream({ model, messages: hello, stream_options: { include_usage: true } });
stream.on("content", (delta) => deltas.push(delta));
const final = await stream.finalChatCompletion();
assert.ok(deltas.length > 1, "the answer comes in pieces");
assert.equal(deltas.join(""), "You said: Say hello");
assert.equal(final.choices[0].message.content, "You said: Say hello");
assert.equal(final.choices[0].finish_reason, "stop");
assert.ok((await stream.totalUsage()).total_tokens > 0);

let thoughts = "";
for await (const chunk of await openai.chat.completions.create({ model, messages: hello, stream: true })) {
    thoughts += chunk.choices[0].delta.reasoning_content ?? "";
}
assert.notEqual(thoughts, "");

const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const calling = openai.chat.completions.stream({
    model,
    messages: [{ role: "user", content: 'call:get_weather{"city":"Paris"} call:get_weather{"city":"Rome"}' }],
    tools: [{ type: "function", function: { name: "get_weather", parameters } }],
});
const { choices } = await calling.finalChatCompletion();
const cities = choices[0].message.tool_calls.map((call) => JSON.parse(call.function.arguments).city);
assert.deepEqual(cities, ["Paris", "Rome"]);
assert.equal(choices[0].finish_reason, "tool_calls");

const models = [];
for await (const entry of openai.models.list()) models.push(entry.id);
assert.ok(models.includes(model), models);

await assert.rejects(openai.chat.completions.create({ model, messages: [] }), OpenAI.BadRequestError);
await assert.rejects(openai.withOptions({ apiKey: "sk-wrong-client" }).models.list(), OpenAI.AuthenticationError);
await assert.rejects(openai.models.retrieve("gpt-nonsense"), OpenAI.NotFoundError);
