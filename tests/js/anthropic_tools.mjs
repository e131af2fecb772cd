// The tool runner over three rounds with parallel calls, streamed and not, with the model of the first argument. It would keep the
// conversation at the server and goes on without that when it learns that nothing is kept.
import Anthropic from "@anthropic-ai/sdk";
import assert from "node:assert/strict";

const model = process.argv[2];
const claude = new Anthropic({
    baseURL: process.env.PROXY_URL,
    apiKey: process.env.PROXY_KEY,
    maxRetries: 0,
    timeout: 30_000,
});

for (const stream of [false, true]) {
    const called = [];
    const tool = (name, key, answer) => ({
        name,
        description: name,
        input_schema: { type: "object", properties: { [key]: { type: "string" } }, required: [key] },
        run: (input) => {
            called.push(`${name} ${input[key]}`);
            return answer(input[key]);
        },
    });
    const content =
        'call:get_weather{"city":"Paris"} call:get_weather{"city":"Rome"}' +
        ' then call:get_time{"zone":"CET"} then call:get_time{"zone":"UTC"}';
    const runner = claude.beta.messages.toolRunner({
        model,
        stream,
        max_tokens: 9000,
        thinking: { type: "enabled", budget_tokens: 4000 },
        messages: [{ role: "user", content }],
        tools: [
            tool("get_weather", "city", (city) => `clear in ${city}`),
            tool("get_time", "zone", (zone) => `12:00 in ${zone}`),
        ],
    });
    const message = await runner.runUntilDone();
    assert.deepEqual(called, ["get_weather Paris", "get_weather Rome", "get_time CET", "get_time UTC"]);
    assert.equal(message.stop_reason, "end_turn");
    assert.match(message.content.at(-1).text, /12:00 in UTC/);
}
