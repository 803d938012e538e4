import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../common/base/clock.ts";
import { systemClock } from "../../common/base/clock.ts";
import { connect } from "./connect.ts";
import { listen } from "./listen.ts";

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
});
