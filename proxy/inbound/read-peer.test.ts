import { expect, it } from "vitest";
import { plainExchange } from "../../test/support/exchange.ts";
import { Body } from "../http/body.ts";
import { HeaderList } from "../http/header-list.ts";
import { readPeer } from "./read-peer.ts";

const answer = { status: 200, reason: "", headers: new HeaderList(), body: Body.empty() };

it("gives the same peer object for the same text, so that metrics find their series by it", async () => {
  const service = readPeer()(async () => answer);
  const exchanges = [withPeer("a;b;c;d;e"), withPeer("a;b;c;d;e")];
  for (const exchange of exchanges) await service(exchange);
  expect(exchanges[0]!.peer).toMatchObject({ name: "a", namespace: "b" });
  expect(exchanges[1]!.peer).toBe(exchanges[0]!.peer);
});

it("keeps every occurrence of the header from the app, readable or not", async () => {
  let seen: string[] = [];
  const service = readPeer()(async ({ headers }) => {
    seen = headers.raw;
    return answer;
  });
  const exchange = plainExchange({
    headers: new HeaderList(["X-Weft-Peer", "rubbish", "a", "b", "x-weft-peer", "more"]),
  });
  await service(exchange);
  expect(seen).toEqual(["a", "b"]);
  expect(exchange.peer).toBeUndefined();
});

it("stops learning new peers at its limit, still knows the old ones, and makes room for new ones later", async () => {
  const service = readPeer()(async () => answer);
  const ask = async (text: string, startedAt: number) => {
    const exchange = withPeer(text, startedAt);
    await service(exchange);
    return exchange.peer;
  };
  const first = await ask("first;;;;", 0);
  for (let i = 0; i < 5_000; i++) await ask(`w${i};;;;`, i);
  expect([await ask("late;;;;", 6_000), await ask("first;;;;", 6_000)]).toEqual([undefined, first]);
  expect(await ask("late;;;;", 700_000)).toMatchObject({ name: "late" });
  expect(await ask("first;;;;", 700_001)).toBe(first);
});

function withPeer(text: string, startedAt = 0) {
  return plainExchange({ startedAt, headers: new HeaderList(["x-weft-peer", text]) });
}
