/** Calls through the gateway, who is signed in, and which version of each service answered last. */
import { make } from "./elements.js";

const servedBy = new Map();
let session = readSession();

export function currentSession() {
  return session;
}

export function setSession(next) {
  session = next;
  if (next) sessionStorage.setItem("session", JSON.stringify(next));
  else sessionStorage.removeItem("session");
}

function readSession() {
  const stored = sessionStorage.getItem("session");
  return stored ? JSON.parse(stored) : undefined;
}

/** `end-user` is what the A/B rules look at. Throws an Error that says who failed; its `status` is the HTTP status. */
export async function call(path, body, method = body === undefined ? "GET" : "POST") {
  const headers = { accept: "application/json" };
  if (session) Object.assign(headers, { authorization: `Bearer ${session.token}`, "end-user": session.user });
  if (body !== undefined) headers["content-type"] = "application/json";
  const begin = performance.now();
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) }).catch(() => {
    throw new Error("The gateway does not answer. Is the mesh still running?");
  });
  const text = await response.text();
  showTook(performance.now() - begin);
  noteServedBy(response.headers.get("x-served-by"));
  const answer = response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : { error: text };
  if (response.ok) return answer;
  const why = answer.error || response.statusText;
  throw Object.assign(new Error(`${method} ${path} was answered with ${response.status}: ${why}`), {
    status: response.status,
  });
}

/** `name` is SERVICE-VERSION; the footer shows the last of each service and marks a change. */
export function noteServedBy(name) {
  if (!name) return;
  const service = name.replace(/-[^-]*$/, "");
  const before = servedBy.get(service);
  if (before === name) return;
  servedBy.set(service, name);
  const items = [...servedBy.values()].sort().map((entry) => {
    const isNew = entry === name && before !== undefined;
    return make("li", { className: `${entry.replace(/^.*-/, "")}${isNew ? " changed" : ""}` }, [entry]);
  });
  document.querySelector("#served-by").replaceChildren(...items);
}

function showTook(ms) {
  const took = document.querySelector("#took");
  took.textContent = `last answer after ${ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`}`;
  took.className = ms < 1000 ? "" : "slow";
}
