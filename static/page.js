// Starts the page: asks the server every few seconds, hands what it said to the sections. Slower when the server is gone,
// silent while nobody looks.
import { $, h } from "./dom.js";
import { setServerTime } from "./text.js";
import { get } from "./api.js";
import { released, startChoices, startRounds } from "./frame.js";
import { drawOverview, startOverview } from "./overview.js";
import { drawCredentials, pool, startCredentials } from "./credentials.js";
import { drawAdd, startAdd } from "./add.js";
import { drawUsage, range, startUsage } from "./usage.js";
import { drawKeys, keyList, startKeys } from "./keys.js";
import { drawClients, offerKey, startClients } from "./clients.js";
import { drawModels, loadModels, startModels } from "./models.js";
import { addLog, drawRequests, drawSettings, startRequests, wantedRequests } from "./requests.js";
import { startSignOut } from "./sign-out.js";
import { startMedia } from "./media.js";

const PERIOD = 4000;
const LONGEST = 60_000;

// The last answer of each address, null before the first.
const state = { status: null, credentials: null, stats: null, keys: null, requests: null, failure: null, skew: 0 };
const sections = [drawOverview, drawCredentials, drawAdd, drawUsage, drawKeys, drawClients, drawModels, drawRequests, drawSettings];

const LINKS = ["credentials", "usage", "keys", "clients", "models", "requests", "settings"];

let wait = PERIOD;
let timer = 0;
let round = 0;
let logAt = 0;

function draw() {
  for (const section of sections) section(state);
}

// Asks for everything; what comes after a later round has begun is old and dropped.
async function load(mine) {
  const wanted = { status: "admin/status", stats: `admin/stats?range=${range}&top=50`, requests: wantedRequests() };
  const names = Object.keys(wanted);
  const [credentials, , , ...answers] = await Promise.allSettled([pool.load(), keyList.load(), loadModels(), ...names.map((name) => get(wanted[name]))]);
  if (mine !== round) return;
  answers.forEach((answer, i) => { if (answer.status === "fulfilled") state[names[i]] = answer.value; });
  Object.assign(state, { credentials: pool.answer, keys: keyList.answer, failure: credentials.reason ?? null });
  if (state.stats?.range === "24h") state.hours = state.stats.buckets;
  if (state.stats && state.hours) state.stats.hours = state.hours;
  if (state.status) state.skew = setServerTime(state.status.now);
  if ($("log").open) await log();
}

async function log() {
  const answer = await get(`admin/log?after=${logAt}`).catch(() => null);
  if (!answer) return;
  logAt = answer.next;
  addLog(answer);
}

// One round; the next comes by itself unless the page is hidden.
async function poll() {
  clearTimeout(timer);
  round += 1;
  const mine = round;
  await load(mine);
  await released();
  if (mine !== round) return;
  wait = state.failure ? Math.min(wait * 2, LONGEST) : PERIOD;
  draw();
  if (!document.hidden) timer = setTimeout(poll, wait);
}

// Asks at once, and no longer as seldom as while the server was gone.
function again() {
  wait = PERIOD;
  poll();
}

startCredentials({ refresh: poll });
startKeys({ refresh: poll, made: offerKey });
startMedia();
startClients();
document.querySelector("nav").append(...LINKS.map((id) => h("a", { href: `#${id}`, "data-t": id })));
startChoices(draw);
startOverview({ retry: again });
startAdd({ refresh: poll, changed: () => { wait = PERIOD; } });
startUsage({ refresh: poll });
startRequests(state);
startModels();
startSignOut();
$("log").addEventListener("toggle", log);

startRounds(() => clearTimeout(timer), again);
window.addEventListener("hashchange", () => {
  const target = location.hash.slice(1) && $(location.hash.slice(1));
  if (target?.tabIndex === -1) target.focus({ preventScroll: true });
});
poll().then(() => get("admin/log?after=0")).then((answer) => { $("log").hidden = false; logAt = answer.next; addLog(answer); }, () => {});
