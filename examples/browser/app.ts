/** The page: a login with the token that was typed in, a connection by its cookie, and the sensors found through it. */
import { type Client, type ClientState, connect, type TagcastError } from "tagcast/client";
import { Sensor } from "./sensor.ts";

/** Sensors without a log are found only while they speak. */
const lookMs = 2000;
/** Status of `POST /login` where the server has none. */
const noLogins = 501;
const stateTexts: Readonly<Record<ClientState, string>> = {
  connecting: "connecting …",
  active: "connected",
  waiting: "connection lost, trying again …",
  closed: "not connected",
};

const byId = (id: string) => document.getElementById(id) as HTMLElement;
const field = (id: string) => byId(id) as HTMLInputElement;
const button = (id: string) => byId(id) as HTMLButtonElement;
const tokenField = field("token");
const patternField = field("pattern");
const list = byId("sensors");
let client: Client | null = null;
let sensors = new Map<string, Sensor>();

byId("connect").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("pattern", patternField.value);
  void enter(tokenField.value);
});
byId("leave").addEventListener("click", () => {
  client?.close();
  sessionStorage.removeItem("login");
  void fetch("/logout", { method: "POST" });
});
byId("look").addEventListener("click", () => client && void look(client));

patternField.value = sessionStorage.getItem("pattern") ?? patternField.value;
// Whoever logged in before is still known by the cookie, which the page cannot see.
if (sessionStorage.getItem("login") !== null) void fetch("/login").then(({ ok }) => ok && start({}));

/** Presents the token once: from then on the browser has a cookie, which no script can read, and the page keeps nothing. */
async function enter(token: string): Promise<void> {
  client?.close();
  client = null;
  tell("");
  show("connecting");
  try {
    const answer = await fetch("/login", { method: "POST", headers: { authorization: `Bearer ${token}` } });
    tokenField.value = "";
    if (answer.ok) {
      sessionStorage.setItem("login", "yes");
      return start({});
    }
    // A server that has no logins takes the token with each connection.
    if (answer.status === noLogins) return start({ token });
    tell(((await answer.json()) as { detail: string }).detail);
  } catch (error) {
    tell(`The server cannot be asked: ${(error as Error).message}`);
  }
  show("closed");
}

function start(credential: { readonly token?: string }): void {
  client?.close();
  sensors = new Map();
  list.replaceChildren();
  tell("");
  // Somebody is looking: a server that is there again is found soon.
  const opened = connect(new URL("/ws", location.href), { ...credential, backoff: { minMs: 250, maxMs: 5000 } });
  client = opened;
  show("connecting");
  opened.on("state", (state) => {
    if (client !== opened) return;
    show(state);
    if (state !== "active") for (const sensor of sensors.values()) sensor.pause();
  });
  void opened.closed.then((error) => {
    if (client !== opened) return;
    client = null;
    show("closed");
    if (error) tell(error.message);
  });
  void look(opened);
}

/** Subscribes to everything that the pattern matches, for a moment: each tag that answers is a sensor. */
async function look(through: Client): Promise<void> {
  const pattern = patternField.value;
  if (!/[+#]/.test(pattern)) return add(through, pattern);
  const again = button("look");
  again.disabled = true;
  try {
    const search = through.subscribe(pattern, ({ tag }) => add(through, tag));
    await search.ready;
    for (const tag of search.positions.keys()) add(through, tag);
    await new Promise((done) => setTimeout(done, lookMs));
    await search.unsubscribe();
  } catch (error) {
    if (through === client) tell((error as TagcastError).message);
  }
  again.disabled = through.state === "closed";
}

function add(through: Client, tag: string): void {
  if (through !== client || sensors.has(tag)) return;
  const sensor = new Sensor(tag, through, byId("sensor") as HTMLTemplateElement);
  sensors.set(tag, sensor);
  const next = [...sensors.keys()].sort(byName).find((other) => byName(other, tag) > 0);
  list.insertBefore(sensor.element, next === undefined ? null : (sensors.get(next)?.element ?? null));
  byId("found").textContent = sensors.size === 1 ? "1 sensor" : `${sensors.size} sensors`;
}

/** `cpu/2` stands before `cpu/10`. */
function byName(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}

function show(state: ClientState): void {
  const output = byId("state");
  output.dataset["state"] = state;
  output.textContent = stateTexts[state];
  button("leave").disabled = state === "closed";
}

function tell(trouble: string): void {
  const paragraph = byId("trouble");
  paragraph.textContent = trouble;
  paragraph.hidden = trouble === "";
}
