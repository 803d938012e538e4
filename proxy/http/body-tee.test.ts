import { describe, expect, it } from "vitest";
import type { MeshError } from "../errors.ts";
import { meshError } from "../errors.ts";
import { Body } from "./body.ts";
import { teeBody } from "./body-tee.ts";

class Reader {
  text = "";
  wantsMore = true;
  outcome: "open" | "ended" | MeshError = "open";

  constructor(body: Body) {
    body.pipe({
      data: (chunk) => {
        this.text += chunk.toString("latin1");
        return this.wantsMore;
      },
      end: () => {
        this.outcome = "ended";
      },
      fail: (cause) => {
        this.outcome = cause;
      },
    });
  }
}

function setUp(limit = 10) {
  const source = new Body(undefined);
  let dropped = 0;
  const tee = teeBody(source, limit, () => dropped++);
  return { source, ...tee, dropped: () => dropped, push: (text: string) => source.push(Buffer.from(text)) };
}

describe("teeBody", () => {
  it("gives both the same bytes", () => {
    const { source, primary, copy, push } = setUp();
    push("ab");
    const second = new Reader(copy);
    expect(second.text).toBe("");
    const first = new Reader(primary);
    push("cd");
    source.end();
    expect([first.text, first.outcome, second.text, second.outcome]).toEqual([
      "abcd",
      "ended",
      "abcd",
      "ended",
    ]);
  });

  it("feeds a copy that starts late from what it kept", () => {
    const { source, primary, copy, push } = setUp();
    new Reader(primary);
    push("ab");
    push("cd");
    source.end();
    const second = new Reader(copy);
    expect([second.text, second.outcome]).toEqual(["abcd", "ended"]);
  });

  it("is not read before the primary is, however ready the copy", () => {
    const { source, copy } = setUp();
    let resumed = 0;
    source.onResume = () => resumed++;
    new Reader(copy);
    expect(resumed).toBe(0);
    expect(source.isUntouched).toBe(true);
  });

  it("drops a copy that falls too far behind and lets the primary go on", () => {
    const { source, primary, copy, push, dropped } = setUp(3);
    const first = new Reader(primary);
    const second = new Reader(copy);
    second.wantsMore = false;
    expect(push("ab")).toBe(true);
    expect(push("cd")).toBe(true);
    expect(second.outcome).toBe("open");
    expect(push("ef")).toBe(true);
    push("gh");
    source.end();
    expect([first.text, first.outcome]).toEqual(["abcdefgh", "ended"]);
    expect(second.outcome).toMatchObject({ code: "upstream_overflow" });
    expect(dropped()).toBe(1);
  });

  it("lets a slow copy catch up", () => {
    const { source, primary, copy, push } = setUp();
    new Reader(primary);
    const second = new Reader(copy);
    second.wantsMore = false;
    push("a");
    push("b");
    push("c");
    source.end();
    expect(second.text).toBe("a");
    copy.resume();
    expect(second.text).toBe("ab");
    second.wantsMore = true;
    copy.resume();
    expect([second.text, second.outcome]).toEqual(["abc", "ended"]);
  });

  it("passes the primary's back-pressure to the source", () => {
    const { source, primary, push } = setUp();
    let resumed = 0;
    source.onResume = () => resumed++;
    const first = new Reader(primary);
    expect(resumed).toBe(1);
    first.wantsMore = false;
    expect(push("a")).toBe(false);
    primary.resume();
    expect(resumed).toBe(2);
  });

  it("does not mind a copy that is cancelled", () => {
    const { source, primary, copy, push, dropped } = setUp(1);
    const first = new Reader(primary);
    copy.cancel();
    push("abc");
    source.end();
    expect([first.text, first.outcome, dropped()]).toEqual(["abc", "ended", 0]);
  });

  it("fails the copy when the primary's consumer gives up or the source breaks", () => {
    const given = setUp();
    let cancelled = false;
    given.source.onCancel = () => {
      cancelled = true;
    };
    const second = new Reader(given.copy);
    new Reader(given.primary);
    given.primary.cancel();
    expect(cancelled).toBe(true);
    expect(second.outcome).toMatchObject({ code: "upstream_overflow" });

    const broken = setUp();
    const first = new Reader(broken.primary);
    const cause = meshError("downstream_closed");
    broken.source.fail(cause);
    expect(first.outcome).toBe(cause);
    expect(new Reader(broken.copy).outcome).toMatchObject({ code: "upstream_overflow" });
  });
});
