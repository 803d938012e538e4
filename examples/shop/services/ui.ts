import { readFile } from "node:fs/promises";
import type { ServiceAnswer, ServiceRoutes } from "../lib/service.ts";
import { runService } from "../lib/service.ts";

const page = new URL("../ui/", import.meta.url);

const assets = [
  ["index.html", "text/html; charset=utf-8"],
  ["page.js", "text/javascript; charset=utf-8"],
  ["calls.js", "text/javascript; charset=utf-8"],
  ["elements.js", "text/javascript; charset=utf-8"],
  ["style.css", "text/css; charset=utf-8"],
] as const;

/** The page that people see. It talks to the other services through the gateway it came from. */
export async function uiRoutes(): Promise<ServiceRoutes> {
  const files = new Map<string, ServiceAnswer>();
  for (const [name, type] of assets) {
    const headers = { "content-type": type, "cache-control": "no-cache" };
    files.set(name, { headers, body: await readFile(new URL(name, page), "utf8") });
  }
  const index = files.get("index.html")!;
  return {
    // Relative addresses on the page need the slash.
    "GET /ui": () => ({ status: 308, headers: { location: "/ui/" }, body: "" }),
    "GET /ui/*": (_request, { rest = "" }) => files.get(rest) ?? index,
  };
}

if (import.meta.main) await runService({ name: "ui", routes: await uiRoutes() });
