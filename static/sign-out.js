// Signing out: the session's cookie is forgotten by the server and the browser.
import { $ } from "./dom.js";
import { send } from "./api.js";
import { attempt, say } from "./dialog.js";
import { t } from "./text.js";

export function startSignOut() {
  $("sign-out").addEventListener("click", (event) => attempt(event.currentTarget, async () => {
    const { session } = await send("POST", "admin/sign-out");
    if (session) location.reload();
    else say(t("signOutBasic"), true);
  }));
}
