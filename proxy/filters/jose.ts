import { createRequire } from "node:module";

type Jose = typeof import("jose");

let loaded: Jose | undefined;

/** The library for tokens, loaded when the first is looked at: most proxies never see one, and start sooner without its fifty modules. */
export function jose(): Jose {
  loaded ??= createRequire(import.meta.url)("jose") as Jose;
  return loaded;
}
