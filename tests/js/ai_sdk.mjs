// The AI SDK: streamed text with tools in three steps by its OpenAI provider, whose default is the Responses API with items
// that are kept, by those for compatible servers, Anthropic and Google, with the model of the first argument.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, streamText, tool } from "ai";
import assert from "node:assert/strict";
import { z } from "zod";

const settings = { baseURL: `${process.env.PROXY_URL}/v1`, apiKey: process.env.PROXY_KEY };
const openai = createOpenAI(settings);
const compatible = createOpenAICompatible({ name: "gemini", ...settings });
const anthropic = createAnthropic(settings);
const google = createGoogleGenerativeAI({ ...settings, baseURL: `${process.env.PROXY_URL}/v1beta` });
const name = process.argv[2];

for (const model of [openai(name), openai.chat(name), compatible(name), anthropic(name), google(name)]) {
    const called = [];
    const run = (name, key) =>
        tool({
            description: name,
            inputSchema: z.object({ [key]: z.string() }),
            execute: async (input) => called.push(`${name} ${input[key]}`) && `${name} is done`,
        });
    const result = streamText({
        model,
        prompt:
            'call:get_weather{"city":"Paris"} call:get_weather{"city":"Rome"}' +
            ' then call:get_time{"zone":"CET"} then call:get_time{"zone":"UTC"}',
        tools: { get_weather: run("get_weather", "city"), get_time: run("get_time", "zone") },
        stopWhen: stepCountIs(6),
        maxRetries: 0,
        onError: ({ error }) => {
            throw error;
        },
    });
    for await (const part of result.fullStream) assert.notEqual(part.type, "error", JSON.stringify(part));
    assert.deepEqual(called, ["get_weather Paris", "get_weather Rome", "get_time CET", "get_time UTC"]);
    assert.match(await result.text, /get_time is done/);
    assert.equal((await result.steps).length, 4);
    assert.equal(await result.finishReason, "stop");
}

// Tools whose calls are items of their own kind; a local shell's item must not have a null in it.
const run = async (name, made, call) => {
    const result = await generateText({
        model: openai(process.argv[2]),
        prompt: `call:${name}${JSON.stringify(call)}`,
        tools: { [name]: made },
        stopWhen: stepCountIs(3),
        maxRetries: 0,
    });
    assert.match(result.text, new RegExp(`${name} answered`), name);
    assert.equal(result.steps.length, 2, name);
};
const { localShell, shell, applyPatch, customTool } = openai.tools;
const outcome = { type: "exit", exitCode: 0 };
await run("local_shell", localShell({ execute: async () => ({ output: "done" }) }), { command: ["ls"] });
await run("shell", shell({ execute: async () => ({ output: [{ stdout: "done", stderr: "", outcome }] }) }), { commands: ["ls"] });
await run("apply_patch", applyPatch({ execute: async () => ({ status: "completed", output: "done" }) }), {
    type: "create_file",
    path: "a",
    diff: "+x",
});
await run("note", customTool({ name: "note", description: "d", execute: async () => "done" }), { input: "x" });
