// The Responses API: whole, streamed, parsed, and tools over three rounds, with the model of the first argument.
import assert from "node:assert/strict";
import { openai } from "./client.mjs";

const model = process.argv[2];

const whole = await openai.responses.create({ model, input: "Say hello" });
assert.equal(whole.output_text, "You said: Say hello");

let deltas = "";
const stream = openai.responses.stream({ model, input: "Say hello" });
stream.on("response.output_text.delta", (event) => (deltas += event.delta));
const final = await stream.finalResponse();
assert.equal(final.status, "completed");
assert.equal(deltas, "You said: Say hello");

const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
const parsed = await openai.responses.parse({
    model,
    input: "Make one up",
    text: { format: { type: "json_schema", name: "person", schema } },
});
assert.equal(typeof JSON.parse(parsed.output_text).name, "string");

const next = await openai.responses.create({ model, input: "And you?", previous_response_id: whole.id });
assert.deepEqual([next.output_text, next.previous_response_id], ["You said: And you?", whole.id]);
assert.equal((await openai.responses.retrieve(next.id)).id, next.id);
await openai.responses.delete(whole.id);
const gone = { name: "Error", status: 400, code: "previous_response_not_found" };
await assert.rejects(openai.responses.create({ model, input: "x", previous_response_id: whole.id }), gone);

const tool = (name, key) => ({
    type: "function",
    name,
    description: name,
    strict: false,
    parameters: { type: "object", properties: { [key]: { type: "string" } }, required: [key] },
});
for (const streamed of [false, true]) {
    const called = [];
    const input = [
        {
            role: "user",
            content:
                'call:get_weather{"city":"Paris"} call:get_weather{"city":"Rome"}' +
                ' then call:get_time{"zone":"CET"} then call:get_time{"zone":"UTC"}',
        },
    ];
    let answer;
    for (;;) {
        const request = {
            model,
            input,
            tools: [tool("get_weather", "city"), tool("get_time", "zone")],
            store: false,
            reasoning: { summary: "auto" },
            include: ["reasoning.encrypted_content"],
        };
        answer = streamed
            ? await openai.responses.stream(request).finalResponse()
            : await openai.responses.create(request);
        input.push(...answer.output);
        const calls = answer.output.filter((item) => item.type === "function_call");
        if (calls.length === 0) break;
        for (const call of calls) {
            called.push(`${call.name} ${Object.values(JSON.parse(call.arguments))[0]}`);
            input.push({ type: "function_call_output", call_id: call.call_id, output: `${call.name} is done` });
        }
    }
    assert.deepEqual(called, ["get_weather Paris", "get_weather Rome", "get_time CET", "get_time UTC"]);
    const text = answer.output.find((item) => item.type === "message").content[0].text;
    assert.match(text, /get_time is done/);
}
