import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import koffi from "koffi";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../common/base/clock.ts";
import { systemClock } from "../../common/base/clock.ts";
import { connect } from "./connect.ts";
import { listen } from "./listen.ts";

/** Node knows how often and how many times since 25. */
const knowsProbes = Number(process.versions.node.split(".")[0]) >= 25;

describe("listen", () => {
  it("opens a port, hands on connections, and frees the port when it closes", async () => {
    const accepted: number[] = [];
    const listener = await listen({ host: "127.0.0.1", port: 0 }, (socket) => {
      accepted.push(socket.remotePort ?? 0);
      socket.end("hi");
    });
    const socket = await connect({ ...listener.address, timeoutMs: 5_000 }, systemClock);
    const local = socket.localPort;
    await new Promise((resolve) => socket.on("data", resolve));
    socket.destroy();
    expect(accepted).toEqual([local]);
    await listener.close();
    await expect(connect({ ...listener.address, timeoutMs: 5_000 }, systemClock)).rejects.toMatchObject({
      code: "connect_refused",
    });
  });

  it("says which port is taken, and what to do", async () => {
    const first = await listen({ host: "127.0.0.1", port: 0 }, () => {});
    await expect(listen(first.address, () => {})).rejects.toThrow(
      `cannot listen on 127.0.0.1:${first.address.port}: the port is taken by another process; stop it or choose another port`,
    );
    await first.close();
  });

  it("says when the machine has no such address", async () => {
    await expect(listen({ host: "192.0.2.1", port: 0 }, () => {})).rejects.toThrow(
      "this machine has no such address",
    );
  });
});

describe("connect", () => {
  it("hands on a socket whose errors end nobody's process", async () => {
    const listener = await listen({ host: "127.0.0.1", port: 0 }, (socket) => socket.destroy());
    const socket = await connect({ ...listener.address, timeoutMs: 5_000 }, systemClock);
    expect(() => socket.emit("error", new Error("reset before anybody listened"))).not.toThrow();
    socket.destroy();
    await listener.close();
  });

  // covers DestinationRule trafficPolicy.connectionPool.tcp.connectTimeout
  it("gives up after its time-out", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const asked: number[] = [];
    // Time is up before the kernel can have answered.
    const impatient: Clock = {
      ...systemClock,
      after(ms, run) {
        asked.push(ms);
        queueMicrotask(run);
        return () => {};
      },
    };
    const attempt = connect({ host: "127.0.0.1", port, timeoutMs: 123 }, impatient);
    await expect(attempt).rejects.toMatchObject({ code: "connect_timeout" });
    expect(asked).toEqual([123]);
    server.close();
  });

  // covers DestinationRule trafficPolicy.connectionPool.tcp.tcpKeepalive.probes, trafficPolicy.connectionPool.tcp.tcpKeepalive.time
  // covers DestinationRule trafficPolicy.connectionPool.tcp.tcpKeepalive.interval
  it.skipIf(process.platform !== "linux" || !knowsProbes)(
    "has the kernel ask a silent peer as often as it was told",
    async () => {
      const listener = await listen({ host: "127.0.0.1", port: 0 }, (accepted) => accepted.end().resume());
      const keepalive = { probes: 3, timeSeconds: 7, intervalSeconds: 2 };
      const socket = await connect({ ...listener.address, timeoutMs: 5_000, keepalive }, systemClock);
      expect(["TCP_KEEPCNT", "TCP_KEEPIDLE", "TCP_KEEPINTVL"].map((name) => tcpOption(socket, name))).toEqual(
        [3, 7, 2],
      );
      socket.destroy();
      await listener.close();
    },
  );
});

/** As the kernel has it, by the number of the option in Linux's netinet/tcp.h. */
function tcpOption(socket: Socket, name: string): number {
  const option = { TCP_KEEPIDLE: 4, TCP_KEEPINTVL: 5, TCP_KEEPCNT: 6 }[name];
  const getsockopt = koffi.load(null).func("int getsockopt(int, int, int, _Out_ int *, _Inout_ uint32_t *)");
  const value = [0];
  const { fd } = (socket as Socket & { _handle: { fd: number } })._handle;
  expect(getsockopt(fd, 6, option, value, [4])).toBe(0);
  return value[0]!;
}
