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

it("stops learning new peers at its limit, and still knows the old ones", async () => {
  const service = readPeer()(async () => answer);
  const first = withPeer("first;;;;");
  await service(first);
  for (let i = 0; i < 2_000; i++) await service(withPeer(`w${i};;;;`));
  const [late, again] = [withPeer("late;;;;"), withPeer("first;;;;")];
  await service(late);
  await service(again);
  expect([late.peer, again.peer]).toEqual([undefined, first.peer]);
});

function withPeer(text: string) {
  return plainExchange({ headers: new HeaderList(["x-weft-peer", text]) });
}
