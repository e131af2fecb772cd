// What the scripts share: the client.
import OpenAI from "openai";

export const openai = new OpenAI({
    baseURL: `${process.env.PROXY_URL}/v1`,
    apiKey: process.env.PROXY_KEY,
    maxRetries: 0,
    timeout: 30_000,
});
