import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import type { OptAnswer, Packet } from "dns-packet";
import { decode, encode, streamDecode, streamEncode } from "dns-packet";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { seededRandom } from "../../common/base/random.ts";
import type { DnsDomain } from "../../common/model/dns.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type { AnswerSource } from "./dns-server.ts";
import { DnsServer } from "./dns-server.ts";
import { DnsFrames, frame } from "./frames.ts";
import { nameServers } from "./resolv-conf.ts";
import { UpstreamResolver } from "./upstream-resolver.ts";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const domain = (name: string, ...addresses: readonly string[]): DnsDomain => ({
  name,
  addresses,
  ttlSeconds: 30,
});

async function startServer(domains: readonly DnsDomain[], servers: readonly SocketAddress[] = []) {
  const sources: AnswerSource[] = [];
  const upstream = new UpstreamResolver({ servers, clock: systemClock, random: seededRandom(7) });
  const server = new DnsServer({ clock: systemClock, upstream, onAnswer: (from) => sources.push(from) });
  server.configure({ domains });
  const address = await server.open({ host: "127.0.0.1", port: 0 });
  closers.push(() => server.close());
  return { server, address, sources };
}

/** A name server that gives this answer to whatever it is asked, over UDP and TCP. */
async function startUpstream(
  answer: (question: Buffer) => Buffer | readonly Buffer[],
): Promise<SocketAddress> {
  const tcp = createServer((socket) => {
    const frames = new DnsFrames();
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      for (const message of frames.push(chunk))
        for (const bytes of [answer(message)].flat()) socket.write(frame(bytes));
    });
  });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const { port } = tcp.address() as AddressInfo;
  const udp = createSocket("udp4");
  udp.on("message", (message, remote) => {
    for (const bytes of [answer(message)].flat()) udp.send(bytes, remote.port, remote.address);
  });
  udp.bind(port, "127.0.0.1");
  await once(udp, "listening");
  closers.push(
    () => udp.close(),
    () => tcp.close(),
  );
  return { host: "127.0.0.1", port };
}

async function askBytes(server: SocketAddress, message: Buffer): Promise<Buffer> {
  const socket = createSocket("udp4");
  try {
    socket.send(message, server.port, server.host);
    const [bytes] = (await once(socket, "message")) as [Buffer];
    return bytes;
  } finally {
    socket.close();
  }
}

async function ask(server: SocketAddress, name: string, type = "A", more: Packet = {}) {
  const questions = [{ type, name }] as NonNullable<Packet["questions"]>;
  return decode(
    await askBytes(server, encode({ type: "query", id: 4711, flags: 0x100, questions, ...more })),
  );
}

const dataOf = (packet: Packet) => (packet.answers ?? []).map((answer) => (answer as { data: unknown }).data);

describe("DnsServer", () => {
  const shop = [
    domain("reviews.shop.svc.cluster.local", "240.240.0.1", "fd00::1"),
    domain("*.example.com", "240.240.0.2"),
    domain("*.eu.example.com", "240.240.0.3"),
    domain("exact.eu.example.com", "240.240.0.4"),
  ];

  it("answers for names of the mesh, in any case of letters, with their lifetime", async () => {
    const { address, sources } = await startServer(shop);
    const answer = await ask(address, "Reviews.shop.svc.cluster.LOCAL");
    expect(answer).toMatchObject({ id: 4711, rcode: "NOERROR", flag_aa: true, flag_ra: true, flag_rd: true });
    expect(answer.answers).toMatchObject([{ type: "A", ttl: 30, data: "240.240.0.1" }]);
    expect(dataOf(await ask(address, "reviews.shop.svc.cluster.local", "AAAA"))).toEqual(["fd00::1"]);
    expect(sources).toEqual(["mesh", "mesh"]);
  });

  it("prefers the exact name, then the longest suffix", async () => {
    const { address } = await startServer(shop);
    const found = await Promise.all(
      ["a.example.com", "a.b.example.com", "a.eu.example.com", "exact.eu.example.com"].map((name) =>
        ask(address, name),
      ),
    );
    expect(found.map(dataOf)).toEqual([["240.240.0.2"], ["240.240.0.2"], ["240.240.0.3"], ["240.240.0.4"]]);
  });

  it("says that a name has no address of a family, and no service bindings", async () => {
    const { address, sources } = await startServer(shop);
    for (const type of ["AAAA", "UNKNOWN_65"]) {
      const answer = await ask(address, "a.example.com", type).catch(async () => {
        // dns-packet cannot write types without a name.
        const message = encode({ type: "query", id: 1, questions: [{ type: "A", name: "a.example.com" }] });
        message.writeUInt16BE(65, message.length - 4);
        return decode(await askBytes(address, message));
      });
      expect(answer).toMatchObject({ rcode: "NOERROR", answers: [] });
    }
    expect(sources).toEqual(["mesh", "mesh"]);
  });

  it("starts with another of several addresses each time", async () => {
    const { address } = await startServer([domain("many.example", "10.0.0.1", "10.0.0.2", "10.0.0.3")]);
    const firsts = new Set<unknown>();
    for (let turn = 0; turn < 3; turn += 1) firsts.add(dataOf(await ask(address, "many.example"))[0]);
    expect(firsts.size).toBe(3);
  });

  it("says over UDP that an answer is cut short, and gives it whole over TCP", async () => {
    const addresses = Array.from({ length: 30 }, (_, index) => `10.0.0.${index}`);
    const { address } = await startServer([domain("many.example", ...addresses)]);
    expect(await ask(address, "many.example")).toMatchObject({ flag_tc: true, answers: [] });
    const asked: OptAnswer = {
      type: "OPT",
      name: ".",
      udpPayloadSize: 4096,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [],
    };
    const roomy = await ask(address, "many.example", "A", { additionals: [asked] });
    expect(roomy.answers).toHaveLength(30);

    const socket = connect(address.port, address.host);
    const questions = [{ type: "A", name: "many.example" } as const];
    const both = Buffer.concat([1, 2].map((id) => streamEncode({ type: "query", id, questions })));
    // In pieces that end in the middle of a message.
    socket.write(both.subarray(0, 5));
    socket.write(both.subarray(5));
    const frames = new DnsFrames();
    const answers: Buffer[] = [];
    for await (const chunk of socket) {
      answers.push(...frames.push(chunk as Buffer));
      if (answers.length === 2) break;
    }
    expect(answers.map((bytes) => streamDecode(frame(bytes)).answers)).toMatchObject([
      { length: 30 },
      { length: 30 },
    ]);
    expect(answers.map((bytes) => bytes.readUInt16BE(0)).sort()).toEqual([1, 2]);
  });

  it("passes other questions on, under an id of its own, and hears only the server that was asked", async () => {
    const ids: number[] = [];
    const upstream = await startUpstream((message) => {
      ids.push(message.readUInt16BE(0));
      const { questions = [] } = decode(message);
      const reply = (data: string, id: number): Buffer =>
        encode({ type: "response", id, questions, answers: [{ type: "A", name: questions[0]!.name, data }] });
      const other = { type: "A", name: "other.example" } as const;
      return [
        reply("6.6.6.6", ids.at(-1)! ^ 1),
        encode({
          type: "response",
          id: ids.at(-1)!,
          questions: [other],
          answers: [{ ...other, data: "6.6.6.6" }],
        }),
        reply("192.0.2.1", ids.at(-1)!),
      ];
    });
    const { address, sources } = await startServer(shop, [upstream]);
    const answer = await ask(address, "outside.test");
    expect(answer.id).toBe(4711);
    expect(dataOf(answer)).toEqual(["192.0.2.1"]);
    expect(dataOf(await ask(address, "a.example.com", "TXT"))).toEqual(["192.0.2.1"]);
    expect(ids).not.toContain(4711);
    expect(new Set(ids).size).toBe(2);
    expect(sources).toEqual(["upstream", "upstream"]);
  });

  it("asks the next server when one is not there, and says so when none is", async () => {
    const gone = createServer().listen(0, "127.0.0.1");
    await once(gone, "listening");
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    const upstream = await startUpstream((message) => {
      const { id = 0, questions = [] } = decode(message);
      return encode({
        type: "response",
        id,
        questions,
        answers: [{ type: "A", name: "x.test", data: "192.0.2.1" }],
      });
    });
    const dead = { host: "127.0.0.1", port };
    const { address } = await startServer([], [dead, upstream]);
    expect(dataOf(await ask(address, "x.test"))).toEqual(["192.0.2.1"]);
    const alone = await startServer([], [dead]);
    expect(await ask(alone.address, "x.test")).toMatchObject({
      rcode: "SERVFAIL",
      questions: [{ name: "x.test" }],
    });
    expect(alone.sources).toEqual(["failed"]);
  });

  it("refuses what is no question, says nothing to answers, and goes on", async () => {
    const { address } = await startServer(shop);
    const question = encode({ type: "query", id: 9, questions: [{ type: "A", name: "a.example.com" }] });
    const update = Buffer.from(question);
    update[2] = 5 << 3;
    expect(decode(await askBytes(address, update))).toMatchObject({ id: 9, rcode: "NOTIMP" });
    expect(decode(await askBytes(address, question.subarray(0, 17)))).toMatchObject({
      id: 9,
      rcode: "FORMERR",
    });
    const two = encode({
      type: "query",
      id: 9,
      questions: [
        { type: "A", name: "a.example.com" },
        { type: "A", name: "b.example.com" },
      ],
    });
    expect(decode(await askBytes(address, two))).toMatchObject({ rcode: "FORMERR" });
    const silent = createSocket("udp4");
    silent.send(encode({ type: "response", id: 9, questions: [] }), address.port, address.host);
    silent.send(Buffer.from([1, 2, 3]), address.port, address.host);
    silent.send(question, address.port, address.host);
    const [first] = (await once(silent, "message")) as [Buffer];
    expect(dataOf(decode(first))).toEqual(["240.240.0.2"]);
    silent.close();
  });

  it("answers by the names it has now", async () => {
    const { server, address } = await startServer(shop);
    server.configure({ domains: [domain("a.example.com", "240.240.9.9")] });
    expect(dataOf(await ask(address, "a.example.com"))).toEqual(["240.240.9.9"]);
    expect(server.names).toBe(1);
  });
});

describe("nameServers", () => {
  it("reads them in order, and leaves out what is no address", () => {
    const text =
      "# made by hand\nsearch shop.svc\nnameserver 10.0.0.2\n nameserver fe80::1%eth0\nnameserver dns.example\noptions ndots:5";
    expect(nameServers(text)).toEqual([
      { host: "10.0.0.2", port: 53 },
      { host: "fe80::1%eth0", port: 53 },
    ]);
    expect(nameServers("")).toEqual([{ host: "127.0.0.1", port: 53 }]);
  });
});
