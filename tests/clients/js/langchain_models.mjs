// LangChain's chat models for OpenAI (chat and Responses), Anthropic and Google, and its agent: those that the command line names.
import { ChatAnthropic } from "@langchain/anthropic";
import { ChatGoogleGenerativeAI } from "@langchain/google-genai";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent, tool } from "langchain";
import assert from "node:assert/strict";
import { z } from "zod";

const { PROXY_URL: url, PROXY_KEY: key, MODEL: model } = process.env;
const question = "How are you";
const parallel = 'call:get_weather{"city":"Paris"} call:get_weather{"city":"Rome"} then call:get_time{"zone":"CET"}';
const openai = { model, apiKey: key, maxRetries: 0, configuration: { baseURL: `${url}/v1` } };

for (const chat of [
  new ChatOpenAI(openai),
  new ChatOpenAI({ ...openai, useResponsesApi: true }),
  new ChatAnthropic({ model, apiKey: key, maxRetries: 0, anthropicApiUrl: url }),
  new ChatGoogleGenerativeAI({ model, apiKey: key, maxRetries: 0, baseUrl: url }),
]) {
  if (!process.argv.slice(2).some((name) => chat.constructor.name.includes(name))) continue;
  console.log(chat.constructor.name);
  let text = "";
  for await (const chunk of await chat.stream(question)) text += chunk.text;
  assert.match(text, /How are you/);
  const called = [];
  const made = (name, key) =>
    tool((input) => called.push(input[key]) && `${name} is done`, { name, schema: z.object({ [key]: z.string() }) });
  const agent = createAgent({ model: chat, tools: [made("get_weather", "city"), made("get_time", "zone")] });
  for (const streamed of [false, true]) {
    called.length = 0;
    const input = { messages: [{ role: "user", content: parallel }] };
    let last = null;
    if (streamed) for await (const state of await agent.stream(input, { streamMode: "values" })) last = state;
    else last = await agent.invoke(input);
    assert.deepEqual([called.slice(0, 2).sort(), called.slice(2)], [["Paris", "Rome"], ["CET"]]);
    assert.match(last.messages.at(-1).text, /get_time is done/);
  }
}
