import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";

/** Loads and uses the generated messages in a fresh process, as a proxy does at its start. */
const script = `
  const start = process.cpuUsage();
  const { default: messages } = await import(${JSON.stringify(new URL("./generated/messages.js", import.meta.url).href)});
  const { RouteConfiguration } = messages.envoy.config.route.v3;
  RouteConfiguration.decode(RouteConfiguration.encode({ name: "x", virtualHosts: [{ name: "y", domains: ["*"] }] }).finish());
  const { user, system } = process.cpuUsage(start);
  console.log((user + system) / 1_000);
`;

it("loads the xDS messages within the budget of 60 ms of CPU time", () => {
  // The best of several, and not by the clock on the wall: other processes on the machine can only add to it.
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 8 && best >= 60; run++) {
    best = Math.min(
      best,
      Number(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" })),
    );
  }
  console.log(`xDS messages loaded in ${best.toFixed(1)} ms`);
  expect(best).toBeLessThan(60);
});
