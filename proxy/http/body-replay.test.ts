import { describe, expect, it } from "vitest";
import { meshError } from "../errors.ts";
import { Body } from "./body.ts";
import { BodyReplay } from "./body-replay.ts";

function read(body: Body) {
  const seen = { text: "", outcome: "open", wantsMore: true };
  body.pipe({
    data(chunk) {
      seen.text += chunk.toString("latin1");
      return seen.wantsMore;
    },
    end() {
      seen.outcome = "ended";
    },
    fail(cause) {
      seen.outcome = cause.code;
    },
  });
  return seen;
}

function setUp(limit = 10) {
  const source = new Body(undefined);
  const seen = { cancelled: 0, resumed: 0 };
  source.onCancel = () => seen.cancelled++;
  source.onResume = () => seen.resumed++;
  return {
    source,
    seen,
    replay: new BodyReplay(source, limit),
    push: (text: string) => source.push(Buffer.from(text)),
  };
}

describe("BodyReplay", () => {
  it("gives each attempt the whole body", () => {
    const { source, replay, push } = setUp();
    const first = read(replay.next());
    push("ab");
    const second = read(replay.next());
    push("cd");
    source.end();
    const third = read(replay.next());
    expect(first).toMatchObject({ text: "ab", outcome: "open" });
    expect(second).toMatchObject({ text: "abcd", outcome: "ended" });
    expect(third).toMatchObject({ text: "abcd", outcome: "ended" });
  });

  it("leaves the source untouched until an attempt reads", () => {
    const { source, replay } = setUp();
    const attempt = replay.next();
    expect(source.isUntouched).toBe(true);
    expect(attempt.isUntouched).toBe(true);
  });

  it("cannot replay more than it may keep, and keeps the current attempt going", () => {
    const { source, replay, push } = setUp(3);
    const first = read(replay.next());
    push("ab");
    expect(replay.canReplay).toBe(true);
    push("cd");
    expect(replay.canReplay).toBe(false);
    push("ef");
    source.end();
    expect(first).toMatchObject({ text: "abcdef", outcome: "ended" });
  });

  it("pauses the source between attempts and loses nothing that still arrives", () => {
    const { source, replay, push, seen } = setUp(3);
    const attempt = replay.next();
    read(attempt);
    push("ab");
    attempt.cancel();
    expect(push("cdef")).toBe(false);
    expect(seen.cancelled).toBe(0);
    expect(replay.canReplay).toBe(true);
    const second = read(replay.next());
    expect(second.text).toBe("abcdef");
    expect(replay.canReplay).toBe(false);
    push("g");
    source.end();
    expect(second).toMatchObject({ text: "abcdefg", outcome: "ended" });
  });

  it("cancels the source when no attempt follows the one that gave up", () => {
    const { replay, push, seen } = setUp();
    const attempt = replay.next();
    read(attempt);
    push("ab");
    attempt.cancel();
    expect(seen.cancelled).toBe(0);
    replay.release();
    expect(seen.cancelled).toBe(1);
    expect(replay.canReplay).toBe(false);
  });

  it("passes on a cancel after release, and keeps nothing", () => {
    const { source, replay, push, seen } = setUp();
    const attempt = replay.next();
    const reader = read(attempt);
    push("ab");
    replay.release();
    push("cd");
    expect(reader.text).toBe("abcd");
    attempt.cancel();
    expect(seen.cancelled).toBe(1);
    source.end();
  });

  it("feeds an attempt that begins to read after release", () => {
    const { source, replay, push } = setUp();
    const attempt = replay.next();
    replay.release();
    const reader = read(attempt);
    push("ab");
    push("cd");
    source.end();
    expect(reader).toMatchObject({ text: "abcd", outcome: "ended" });
  });

  it("passes back-pressure and failure on", () => {
    const { source, replay, push, seen } = setUp();
    const attempt = replay.next();
    const reader = read(attempt);
    reader.wantsMore = false;
    expect(push("a")).toBe(false);
    attempt.resume();
    expect(seen.resumed).toBe(2);
    source.fail(meshError("downstream_closed"));
    expect(reader.outcome).toBe("downstream_closed");
    expect(read(replay.next()).outcome).toBe("downstream_closed");
  });
});
