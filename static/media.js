// Tries OpenAI's media routes: a picture, a spoken sentence, and a transcript of the microphone or a file. What was made
// stays in this tab. A program without these routes serves an empty stand-in.
import { $, asks, h, onSubmit } from "./dom.js";
import { askAsClient } from "./api.js";
import { learn, t } from "./text.js";

export const words = {
  en: {
    media: "Pictures and speech", mediaNote: "Each costs one call and needs an API key of Gemini or Vertex AI. The client key is the one above.",
    mediaPicture: "Picture of", mediaPictureText: "A red fox in the snow", mediaDraw: "Draw",
    mediaSpeech: "Sentence", mediaSpeechText: "Hello, how are you today?", mediaSpeak: "Speak",
    mediaFile: "Recording", mediaHear: "Write down", mediaRecord: "Record", mediaStop: "Stop recording",
    mediaWait: "Waiting for the answer…", mediaRecording: "Recording…", mediaDone: "{what} after {time} s.",
    mediaMade: "Pictures", mediaTime: "Speech",
    mediaNoFile: "Choose a recording, or record one.", mediaEmpty: "Nothing was said.",
    mediaInsecure: "Browsers allow the microphone only over HTTPS or at localhost.",
  },
  zh: {
    media: "图片与语音", mediaNote: "每次试用消耗一次调用，需要 Gemini 的 API 密钥或 Vertex AI。客户端密钥用上面填写的那个。",
    mediaPicture: "图片内容", mediaPictureText: "雪地里的一只红狐狸", mediaDraw: "生成",
    mediaSpeech: "句子", mediaSpeechText: "你好，今天过得怎么样？", mediaSpeak: "朗读",
    mediaFile: "录音", mediaHear: "转写", mediaRecord: "开始录音", mediaStop: "停止录音",
    mediaWait: "正在等待回答…", mediaRecording: "正在录音…", mediaDone: "{what}，用时 {time} 秒。",
    mediaMade: "图片", mediaTime: "语音",
    mediaNoFile: "请选择一个录音文件，或现场录音。", mediaEmpty: "没有听到说话。",
    mediaInsecure: "浏览器只在 HTTPS 或 localhost 下允许使用麦克风。",
  },
};
learn(words);

const PICTURES = "gemini-3.1-flash-image";
// What the models for transcripts are trained on.
const RATE = 16_000;

let recorder = null;

const show = (...children) => { $("media-answer").hidden = !children.length; $("media-answer").replaceChildren(...children); };
const note = (text) => { $("media-note").textContent = text; };

// One request with the key of the page above.
const ask = (path, body) => askAsClient(path, $("client-key").value.trim(), { body });

// Runs one of them, its button off meanwhile; what goes wrong becomes the note.
async function run(button, act) {
  const began = performance.now();
  button.disabled = true;
  show();
  note(t("mediaWait"));
  try {
    const what = await act();
    note(t("mediaDone", { what, time: ((performance.now() - began) / 1000).toFixed(1) }));
  } catch (failure) {
    note(failure.message);
  } finally {
    button.disabled = false;
  }
}

async function draw(prompt) {
  const { data, output_format, size } = await (await ask("v1/images/generations", { model: PICTURES, prompt })).json();
  show(h("img", { src: `data:image/${output_format};base64,${data[0].b64_json}`, alt: prompt }));
  return size;
}

async function speak(input) {
  const spoken = await (await ask("v1/audio/speech", { model: "tts-1", voice: "alloy", input })).blob();
  show(h("audio", { src: URL.createObjectURL(spoken), controls: true, "aria-label": input }));
  return `${spoken.type}, ${Math.ceil(spoken.size / 1024)} KB`;
}

async function hear(file) {
  const form = new FormData();
  form.append("model", "whisper-1");
  form.append("file", file, file.name);
  const { text } = await (await ask("v1/audio/transcriptions", form)).json();
  show(h("p", null, text || t("mediaEmpty")));
  return file.name;
}

// What a recorder gives is in the browser's own format: it becomes a WAV file, which every model reads.
async function wav(blob) {
  const audio = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await blob.arrayBuffer());
  const samples = audio.getChannelData(0);
  const bytes = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const word = (at, text) => [...text].forEach((letter, i) => bytes.setUint8(at + i, letter.charCodeAt(0)));
  word(0, "RIFF"); word(8, "WAVEfmt "); word(36, "data");
  for (const [at, value] of [[4, 36 + samples.length * 2], [16, 16], [24, RATE], [28, RATE * 2], [40, samples.length * 2]]) bytes.setUint32(at, value, true);
  for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) bytes.setUint16(at, value, true);
  samples.forEach((sample, i) => bytes.setInt16(44 + i * 2, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new File([bytes], "microphone.wav", { type: "audio/wav" });
}

// Begins to record, or ends it and has it written down.
async function record(button) {
  if (recorder) return recorder.stop();
  button.disabled = true;
  try {
    if (!navigator.mediaDevices) throw new Error(t("mediaInsecure"));
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    recorder = new MediaRecorder(stream);
    const pieces = [];
    // There is something to stop once there is a first piece.
    recorder.ondataavailable = ({ data }) => {
      if (!data.size || pieces.push(data) > 1) return;
      label(button, "mediaStop");
      button.disabled = false;
    };
    recorder.onstop = () => {
      recorder = null;
      stream.getTracks().forEach((track) => track.stop());
      label(button, "mediaRecord");
      run(button, async () => hear(await wav(new Blob(pieces))));
    };
    recorder.start(250);
    show();
    note(t("mediaRecording"));
  } catch (failure) {
    recorder = null;
    button.disabled = false;
    note(failure.message);
  }
}

function label(element, name) {
  element.dataset.t = name;
  element.textContent = t(name);
}

export function startMedia() {
  $("media").hidden = false;
  $("media").append(
    h("h3", { "data-t": "media" }), h("p", { class: "note", "data-t": "mediaNote" }),
    asks("form-picture", "mediaPicture", "mediaDraw"), asks("form-speech", "mediaSpeech", "mediaSpeak"),
    h("form", { id: "form-hear" }, h("label", null, h("span", { "data-t": "mediaFile" }), h("input", { type: "file", name: "file", accept: "audio/*" })),
      h("button", { class: "primary", "data-t": "mediaHear" }), h("button", { type: "button", id: "media-record", "data-t": "mediaRecord" })),
    h("div", { id: "media-answer", class: "answer", "aria-live": "polite", hidden: true }), h("p", { id: "media-note", class: "note", role: "status" }));
  for (const [id, act] of [["form-picture", draw], ["form-speech", speak]]) {
    onSubmit(id, ({ text }, form) => run(form.querySelector("button"), () => act(text.value)));
  }
  onSubmit("form-hear", ({ file: { files: [file] } }, form) => {
    if (file) run(form.querySelector("button"), () => hear(file));
    else note(t("mediaNoFile"));
  });
  $("media-record").addEventListener("click", ({ currentTarget }) => record(currentTarget));
}
