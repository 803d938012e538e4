import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Cluster } from "../../common/model/cluster.ts";
import type { FilterChain, Listener, TcpProxy } from "../../common/model/listener.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import { startProxy } from "../../proxy/app.ts";
import { clientHello } from "../support/client-hello.ts";
import { metricSum } from "../support/metrics.ts";
import { feed, listener, proxySettings, staticCluster } from "../support/proxy-resources.ts";

/** Connections whose bytes a proxy passes on, over real sockets. */

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const tcpChain = (tcp: Partial<TcpProxy> & Pick<TcpProxy, "destinations">, name = "tcp"): FilterChain => ({
  name,
  tcp: { statPrefix: name, ...tcp },
});

const tcpListener = (chains: readonly FilterChain[], change: Partial<Listener> = {}): Listener =>
  listener("tcp", "", { filterChains: chains, ...change });

const one = (cluster: string) => ({ destinations: [{ cluster, weight: 1 }] });

describe("a connection that is passed on", () => {
  it("hears a server that speaks first, carries both directions, and ends each for itself", async () => {
    const server = await serve((socket) => {
      socket.write("greeting\n");
      socket.on("end", () => socket.end("after your end\n"));
      socket.resume();
    });
    const { port } = await proxy([tcpListener([tcpChain(one("db"))])], { db: [server] });
    const client = dial(port);
    expect(await untilText(client, "greeting\n")).toBe("greeting\n");
    client.end("quit\n");
    expect(await untilEnd(client)).toBe("after your end\n");
  });

  it("divides connections by weight and counts every one with Istio's labels", async () => {
    const [a, b] = [await named("a"), await named("b")];
    const destinations = [
      { cluster: "a", weight: 3 },
      { cluster: "b", weight: 1 },
    ];
    const { app, port } = await proxy([tcpListener([tcpChain({ destinations })])], { a: [a], b: [b] });
    const answers = await Promise.all(Array.from({ length: 80 }, () => ask(port)));
    const count = answers.filter((answer) => answer === "a").length;
    expect(count).toBeGreaterThan(45);
    expect(count).toBeLessThan(75);
    await expect
      .poll(() => metrics(app, "istio_tcp_connections_closed_total", { reporter: "source" }))
      .toBe(80);
    const labels = {
      reporter: "source",
      source_workload: "test",
      request_protocol: "tcp",
      response_flags: "-",
    };
    expect(await metrics(app, "istio_tcp_connections_opened_total", labels)).toBe(80);
    expect(await metrics(app, "istio_tcp_sent_bytes_total", labels)).toBe(80);
    expect(await metrics(app, "istio_tcp_received_bytes_total", labels)).toBe(80);
  });

  it("shows the bytes of a connection while it is open", async () => {
    const server = await serve((socket) => socket.write("12345"));
    const { app, port } = await proxy([tcpListener([tcpChain(one("db"))])], { db: [server] });
    const client = dial(port);
    await untilText(client, "12345");
    expect(await metrics(app, "istio_tcp_sent_bytes_total")).toBe(5);
    expect(await metrics(app, "istio_tcp_connections_closed_total")).toBe(0);
  });

  // covers DestinationRule trafficPolicy.connectionPool.tcp.idleTimeout
  it("ends when nothing passes for its idle time, and not while something does", async () => {
    const server = await serve((socket) => socket.pipe(socket));
    const { port } = await proxy([tcpListener([tcpChain({ ...one("db"), idleTimeoutMs: 300 })])], {
      db: [server],
    });
    const client = dial(port);
    for (let turn = 0; turn < 6; turn++) {
      client.write("x");
      await once(client, "data");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(client.destroyed).toBe(false);
    await once(client.resume(), "end");
  });

  it("is refused beyond the cluster's connections, and counted with Envoy's flag", async () => {
    const server = await serve((socket) => {
      socket.write("hello");
      socket.resume().on("end", () => socket.end());
    });
    const limited = { ...staticCluster("db", server), connectionPool: { maxConnections: 1 } };
    const { app, port } = await proxy([tcpListener([tcpChain(one("db"))])], {}, [limited]);
    const first = dial(port);
    await untilText(first, "hello");
    expect(await untilEnd(dial(port))).toBe("");
    await expect
      .poll(() => metrics(app, "istio_tcp_connections_closed_total", { response_flags: "UO" }))
      .toBe(1);
    first.destroy();
    await expect
      .poll(() => metrics(app, "istio_tcp_connections_closed_total", { response_flags: "-" }))
      .toBe(1);
    expect(await untilText(dial(port), "hello")).toBe("hello");
  });

  it.each([
    ["UF,URX", async () => ({ db: [await closedPort()] })],
    ["UH", async () => ({ db: [] })],
    ["NC", async () => ({})],
  ])("ends at once where it can't go on, with flag %s", async (flags, clusters) => {
    const { app, port } = await proxy([tcpListener([tcpChain(one("db"))])], await clusters());
    expect(await untilEnd(dial(port))).toBe("");
    await expect
      .poll(() => metrics(app, "istio_tcp_connections_closed_total", { response_flags: flags }))
      .toBe(1);
  });
});

describe("a port where TLS and other protocols meet", () => {
  it("lets a server speak first to a client that waits for it, and tells TLS by its first byte", async () => {
    const server = await serve((socket) => socket.write("220 ready\n"));
    const tls = await named("tls");
    const chains = [
      tcpChain(one("plain"), "plain"),
      { ...tcpChain(one("tls"), "tls"), transport: "tls" as const },
    ];
    const { port } = await proxy([tcpListener(chains)], { plain: [server], tls: [tls] });
    expect(await untilText(dial(port), "220 ready\n")).toBe("220 ready\n");
    expect(await ask(port, clientHello())).toBe("tls");
    // Now clients are expected to speak first, and who does not is still served.
    expect(await untilText(dial(port), "220 ready\n")).toBe("220 ready\n");
  });
});

describe("a port behind a load balancer", () => {
  const chains = [
    { ...tcpChain(one("near"), "near"), sourceCidrs: ["192.0.2.0/24"] },
    tcpChain(one("far"), "far"),
  ];
  it("believes what the PROXY header says of the client, in either version, and lets nobody in without one", async () => {
    const [near, far] = [await named("near"), await named("far")];
    const { port } = await proxy([tcpListener(chains, { expectsProxyHeader: true })], {
      near: [near],
      far: [far],
    });
    expect(await ask(port, "PROXY TCP4 192.0.2.7 198.51.100.1 5 443\r\n?")).toBe("near");
    expect(await ask(port, "PROXY TCP6 2001:db8::1 2001:db8::2 5 443\r\n?")).toBe("far");
    const addresses = Buffer.from([192, 0, 2, 1, 198, 51, 100, 1, 0, 5, 1, 187]);
    const second = Buffer.concat([
      Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"),
      Buffer.from([0x21, 0x11, 0, addresses.length]),
      addresses,
      Buffer.from("?"),
    ]);
    expect(await ask(port, second)).toBe("near");
    expect(await ask(port, "GET / HTTP/1.1\r\n\r\n")).toBe("");
  });
});

describe("a service whose host is a wildcard", () => {
  // covers ServiceEntry hosts[], resolution
  it("is reached under the server name that the client asks for, on the service's port", async () => {
    const server = await named("found");
    const name = `outbound|${server}||*.example.com`;
    const wild: Cluster = { ...staticCluster(name), discovery: { kind: "original-dst" } };
    const chain = { ...tcpChain(one(name), "wild"), serverNames: ["localhost"] };
    const { app, port } = await proxy([tcpListener([chain])], {}, [wild]);
    expect(await ask(port, clientHello("localhost"))).toBe("found");
    expect(await ask(port, clientHello("other.example.com"))).toBe("");
    await expect
      .poll(() => metrics(app, "istio_tcp_connections_closed_total", { response_flags: "NR" }))
      .toBe(1);
  });
});

interface Started {
  readonly app: ProxyApp;
  readonly port: number;
}

async function proxy(
  listeners: readonly Listener[],
  clusters: Readonly<Record<string, readonly number[]>>,
  more: Parameters<typeof feed>[1]["clusters"] = [],
): Promise<Started> {
  const app = await startProxy(proxySettings({ admin: "127.0.0.1:0" }));
  stops.push(() => app.stop());
  const all = Object.entries(clusters).map(([name, ports]) => staticCluster(name, ...ports));
  expect(await feed(app.sink, { clusters: [...all, ...more], listeners })).toEqual([]);
  return { app, port: app.port("tcp")! };
}

function metrics(
  app: ProxyApp,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  return metricSum(`http://127.0.0.1:${app.admin!.port}/stats/prometheus`, name, labels);
}

async function serve(accept: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    accept(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stops.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Answers the first bytes with its name, and ends. */
function named(name: string): Promise<number> {
  return serve((socket) => socket.once("data", () => socket.end(name)));
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function dial(port: number): Socket {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  socket.on("error", () => {});
  stops.push(() => socket.destroy());
  return socket;
}

async function ask(port: number, question: string | Buffer = "?"): Promise<string> {
  const socket = dial(port);
  socket.write(question);
  const text = await untilEnd(socket);
  socket.end();
  return text;
}

async function untilEnd(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  socket.resume();
  await Promise.race([once(socket, "end"), once(socket, "close")]);
  return text;
}

async function untilText(socket: Socket, wanted: string): Promise<string> {
  let text = "";
  while (text.length < wanted.length) {
    const [bytes] = (await once(socket, "data")) as [Buffer];
    text += bytes.toString();
  }
  socket.pause();
  return text;
}
