// OpenAI's SDK over TLS; NODE_EXTRA_CA_CERTS names the authority.
import assert from "node:assert/strict";
import { openai } from "./client.mjs";

const messages = [{ role: "user", content: "Hi" }];
const answer = await openai.chat.completions.create({ model: "gemini-2.5-flash", messages });
assert.ok(answer.choices[0].message.content);
let text = "";
for await (const chunk of await openai.chat.completions.create({ model: "gemini-2.5-flash", messages, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? "";
}
assert.ok(text);
