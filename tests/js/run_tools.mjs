// `runTools` over three rounds with parallel calls, streamed and not, with the model of the first argument.
import assert from "node:assert/strict";
import { openai } from "./client.mjs";

const model = process.argv[2];

for (const stream of [false, true]) {
    const called = [];
    const tool = (name, key, answer) => ({
        type: "function",
        function: {
            name,
            parse: JSON.parse,
            parameters: { type: "object", properties: { [key]: { type: "string" } }, required: [key] },
            function: (argument) => {
                called.push(`${name} ${argument[key]}`);
                return answer(argument[key]);
            },
        },
    });
    const runner = openai.chat.completions.runTools({
        model,
        stream,
        messages: [
            {
                role: "user",
                content:
                    'call:get_weather{"city":"Paris"} call:get_weather{"city":"Rome"}' +
                    ' then call:get_time{"zone":"CET"} then call:get_time{"zone":"UTC"}',
            },
        ],
        tools: [
            tool("get_weather", "city", (city) => ({ city, sky: "clear" })),
            tool("get_time", "zone", (zone) => `12:00 in ${zone}`),
        ],
    });
    const answer = await runner.finalContent();
    assert.deepEqual(called, ["get_weather Paris", "get_weather Rome", "get_time CET", "get_time UTC"]);
    assert.match(answer, /12:00 in UTC/);
    assert.equal(runner.allChatCompletions().length, 4);
}
