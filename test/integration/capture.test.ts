import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Pod } from "../support/pod-network.ts";
import { firstLine, PodNetwork, sidecarUid } from "../support/pod-network.ts";

const weft = [process.execPath, "cli/main.ts"];

/** What the server behind a captured connection saw: its own port, and where the client had wanted to go. */
interface Answer {
  readonly port: number;
  readonly meant: { readonly host: string; readonly port: number } | null;
}

// Capture is a matter of Linux' packet filter, which only root may write.
describe.runIf(process.platform === "linux" && process.getuid?.() === 0)("weft capture", () => {
  let network: PodNetwork;
  let pod: Pod;
  let other: Pod;

  beforeAll(async () => {
    network = await PodNetwork.create();
    pod = await network.addPod();
    other = await network.addPod();
    for (const port of [15_001, 15_006]) {
      const args = [process.execPath, "test/support/original-destination-server.ts", String(port)];
      expect(await firstLine(pod.spawn(args, { asUid: sidecarUid }))).toBe("ready");
    }
    const app = pod.spawn([process.execPath, "-e", appAt(8080)], {});
    expect(await firstLine(app)).toBe("ready");
    const elsewhere = other.spawn([process.execPath, "-e", appAt(9090)], {});
    expect(await firstLine(elsewhere)).toBe("ready");
  });

  afterAll(async () => {
    await network.stop();
  });

  for (const filter of ["iptables", "nftables"] as const) {
    describe(`with ${filter}`, () => {
      const capture = (...args: readonly string[]) =>
        pod.run(weft[0]!, weft[1]!, "capture", "--filter", filter, ...args);

      beforeAll(async () => {
        await capture();
      });

      afterAll(async () => {
        await capture("--remove");
      });

      it("sends what the application opens to the outbound port, with its destination", async () => {
        expect(await ask(pod, "192.0.2.7", 80)).toEqual({
          port: 15_001,
          meant: { host: "192.0.2.7", port: 80 },
        });
        expect(await ask(pod, other.address, 9090)).toEqual({
          port: 15_001,
          meant: { host: other.address, port: 9090 },
        });
      });

      it("does so for IPv6", async () => {
        expect(await ask(pod, "2001:db8::7", 443)).toEqual({
          port: 15_001,
          meant: { host: "2001:db8::7", port: 443 },
        });
        expect(await ask(other, pod.address6, 8080)).toEqual({
          port: 15_006,
          meant: { host: pod.address6, port: 8080 },
        });
      });

      it("sends what others open to the inbound port, with its destination", async () => {
        expect(await ask(other, pod.address, 8080)).toEqual({
          port: 15_006,
          meant: { host: pod.address, port: 8080 },
        });
      });

      it("leaves alone what the sidecar opens, and what the application says to itself", async () => {
        expect(await ask(pod, other.address, 9090, sidecarUid)).toBe("app at 9090");
        expect(await ask(pod, "127.0.0.1", 8080)).toBe("app at 8080");
        expect(await ask(pod, "127.0.0.1", 8080, sidecarUid)).toBe("app at 8080");
      });

      it("takes the sidecar's connection to its own pod as inbound", async () => {
        expect(await ask(pod, pod.address, 8080, sidecarUid)).toEqual({
          port: 15_006,
          meant: { host: pod.address, port: 8080 },
        });
      });

      it("follows new options at once, and leaves nothing behind", async () => {
        await capture("--exclude-outbound-ports", "9090", "--exclude-inbound-ports", "8080");
        expect(await ask(pod, other.address, 9090)).toBe("app at 9090");
        expect(await ask(other, pod.address, 8080)).toBe("app at 8080");
        await capture("--inbound-ports", "7000-7999", "--outbound-cidrs", "192.0.2.0/24");
        expect(await ask(pod, other.address, 9090)).toBe("app at 9090");
        expect(await ask(pod, "192.0.2.9", 81)).toMatchObject({ port: 15_001 });
        expect(await ask(other, pod.address, 8080)).toBe("app at 8080");
        expect(await ask(other, pod.address, 7001)).toMatchObject({ port: 15_006 });
        await capture("--remove");
        expect(await ask(pod, other.address, 9090)).toBe("app at 9090");
        expect(await pod.run("nft", "list", "ruleset")).not.toContain("weft");
        await capture();
        expect(await ask(pod, other.address, 9090)).toMatchObject({ port: 15_001 });
      });
    });
  }
});

/** A server's program that says its name to whoever connects. */
function appAt(port: number): string {
  return `require("node:net").createServer((socket) => socket.end('"app at ${port}"')).listen(${port}, "::", () => console.log("ready"))`;
}

/** Connects from a pod and answers what the server says. */
async function ask(from: Pod, host: string, port: number, asUid?: number): Promise<Answer | string> {
  const client = `require("node:net").connect(${port}, "${host}").on("error", (e) => { console.error(e.message); process.exit(1); }).pipe(process.stdout)`;
  const child = from.spawn([process.execPath, "-e", client], asUid === undefined ? {} : { asUid });
  let text = "";
  let complaint = "";
  child.stderr!.on("data", (chunk) => (complaint += String(chunk)));
  for await (const chunk of child.stdout!) text += String(chunk);
  if (text === "") throw new Error(`${host}:${port} said nothing: ${complaint}`);
  return JSON.parse(text) as Answer | string;
}
