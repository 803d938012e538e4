import fc from "fast-check";

/**
 * Bytes that are nearly HTTP/1.1: sound messages from parts, some parts odd, then a few octets changed. Purely random bytes would never
 * get past the first space.
 */

const oddOctets = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  "\x0b",
  "\x7f",
  "\x80",
  ":",
  ";",
  ",",
  "#",
  "%",
  "0",
  "5",
  "a",
];

const weighted = (...parts: readonly (readonly [number, readonly string[]])[]): fc.Arbitrary<string> =>
  fc.oneof(...parts.map(([weight, values]) => ({ weight, arbitrary: fc.constantFrom(...values) })));

// Without PRI, at which node:http drops the sound requests before it as well.
const requestLine = fc
  .tuple(
    weighted(
      [12, ["GET", "POST", "HEAD", "PUT", "OPTIONS", "M-SEARCH"]],
      [1, ["FOO", "get", "GET ", "G(T", "SOURCE", "CONNECT"]],
    ),
    weighted(
      [
        12,
        ["/", "/a?b=c", "/a%20b", "http://h/x", "http://h?x", "HTTPS://h:1", '/a|{}\\^`"<>', "//x", "/?a?b"],
      ],
      [
        1,
        ["*", "x", "/a#b", "/\x80", "/a b", "", "http://", "http://u@h/", "ftp://h/", "/\t", "h:80", "/\x7f"],
      ],
    ),
    weighted(
      [20, [" HTTP/1.1\r\n"]],
      [1, [" HTTP/1.0\r\n", " HTTP/2.0\r\n", " HTTP/1.1\n", " http/1.1\r\n", "\r\n", "  HTTP/1.1\r\n"]],
    ),
  )
  .map(([method, target, version]) => `${method} ${target}${version}`);

const statusLine = fc
  .tuple(
    weighted([12, ["HTTP/1.1"]], [1, ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "http/1.1", "ICY"]]),
    weighted(
      [12, ["200", "404", "204", "304", "100", "103", "500"]],
      [1, ["99", "000", "0200", "abc", "600", "999", "2 0", "20"]],
    ),
    weighted(
      [12, [" OK\r\n", " \r\n", "\r\n", " Not\tquite \xe4\r\n"]],
      [1, ["OK\r\n", " OK\n", " O\0K\r\n", "  OK\r\n"]],
    ),
  )
  .map(([version, status, reason]) => `${version} ${status}${reason}`);

const field = weighted(
  [
    10,
    [
      "X-A: b",
      "Accept: */*",
      "x-Empty:",
      "X-Tabs:\t a\tb \t",
      "Cookie: a=b; c=d",
      "X-Obs: \x80\xff",
      "X-A: c",
      "Te: trailers",
    ],
  ],
  [
    3,
    [
      "Connection: keep-alive",
      "Connection: close",
      "Keep-Alive: timeout=5",
      "Connection: x-hop",
      "X-Hop: 1",
      "Expect: 100-continue",
    ],
  ],
  [
    2,
    [
      "X : a",
      "X",
      ": a",
      " folded",
      "X\0: a",
      "X: a\0",
      "X: \x7f",
      "X-(: a",
      "X: a\rb",
      "Host: b",
      "Expect: x",
      "X\x80: a",
      "Transfer-Encoding: gzip",
      "Transfer-Encoding : chunked",
      "Content-Length: 5",
      "Content-Length: 3",
      "Connection: ,close,",
    ],
  ],
);

const chunk = fc.oneof(
  { weight: 8, arbitrary: fc.string({ maxLength: 20 }).filter(isAscii).map(frame) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "5;a=b\r\nhello\r\n",
      '5;a="b\\"c";d\r\nhello\r\n',
      "05\r\nhello\r\n",
      "A\r\n0123456789\r\n",
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "5 \r\nhello\r\n",
      "0x5\r\nhello\r\n",
      "5\nhello\r\n",
      "5\r\nhell\r\n",
      "5\r\nhello",
      "-1\r\n",
      "g\r\n",
      "5;\r\nhello\r\n",
      "5;a=\r\nhello\r\n",
      "5;a b\r\nhello\r\n",
      "5;=\r\nhello\r\n",
      "5; a=b\r\nhello\r\n",
      "5;a;;b\r\nhello\r\n",
      "ffffffffffffffffff\r\n",
      '5;a="b"c\r\nhello\r\n',
      '5;a=b"c"\r\nhello\r\n',
      "5\r\r\nhello\r\n",
      "\r\n5\r\nhello\r\n",
    ),
  },
);

// No framing fields among the trailers: llhttp refuses the message for a Content-Length there, we drop the field as RFC 9110 6.5.1 asks.
const lastChunk = weighted(
  [8, ["0\r\n\r\n"]],
  [2, ["0\r\nX-T: a\r\n\r\n", "000\r\n\r\n", "0;x\r\n\r\n", "0\r\nX-T: a\r\nGrpc-Status: 0\r\n\r\n"]],
  [1, ["0\r\n", "0\r\nX : a\r\n\r\n", "0\n\n", "0\r\n X: a\r\n\r\n", ""]],
);

/** Framing fields and the body that goes, or nearly goes, with them. */
const framedBody = fc.oneof(
  { weight: 4, arbitrary: fc.constant(["", ""] as const) },
  {
    weight: 4,
    arbitrary: fc
      .string({ maxLength: 30 })
      .filter(isAscii)
      .map((body) => [`Content-Length: ${body.length}\r\n`, body] as const),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        weighted(
          [8, ["chunked", "Chunked", " chunked\t"]],
          [1, ["xchunked", "chunked, chunked", "identity", "chunked;", "gzip, chunked", ""]],
        ),
        fc.array(chunk, { maxLength: 3 }),
        lastChunk,
      )
      .map(([coding, chunks, last]) => [`Transfer-Encoding: ${coding}\r\n`, chunks.join("") + last] as const),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        weighted([
          1,
          ["+5", "0x5", "5 5", "5,5", "05", "5 ", "", "-0", "12345678901234567890", "5\x0b", "\t5"],
        ]),
      )
      .map(([length]) => [`Content-Length: ${length}\r\n`, "hello"] as const),
  },
);

function message(line: fc.Arbitrary<string>, needsHost: boolean): fc.Arbitrary<string> {
  const host = needsHost
    ? weighted([20, ["Host: h\r\n", "hOST:h:80\r\n"]], [1, ["", "Host:\r\n", "Host : h\r\n"]])
    : fc.constant("");
  return fc
    .tuple(
      line,
      host,
      fc.array(field, { maxLength: 4 }),
      framedBody,
      weighted([20, ["\r\n"]], [1, ["\n", "\r", ""]]),
      weighted([16, [""]], [1, ["\r\n", "\n", " ", "junk"]]),
    )
    .map(([first, hostLine, fields, [framing, body], end, behind]) => {
      const lines = fields.map((text) => `${text}\r\n`).join("");
      return `${first}${hostLine}${lines}${framing}${end}${body}${behind}`;
    });
}

/** Up to four octets put in, taken out or replaced. */
function mutated(bytes: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    drop: fc.nat({ max: 2 }),
    insert: fc.constantFrom("", ...oddOctets),
  });
  return fc
    .tuple(
      bytes,
      fc.oneof(
        { weight: 2, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(edit, { maxLength: 4 }) },
      ),
    )
    .map(([text, edits]) => {
      let result = text;
      for (const { at, drop, insert } of edits) {
        const position = Math.floor(at * result.length);
        result = result.slice(0, position) + insert + result.slice(position + drop);
      }
      return result;
    });
}

/** Where a stream is cut into reads, as fractions of its length. */
export const cuts: fc.Arbitrary<number[]> = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
  maxLength: 4,
});

export const requestStream: fc.Arbitrary<string> = mutated(
  fc.array(message(requestLine, true), { minLength: 1, maxLength: 4 }).map((all) => all.join("")),
);

export const responseStream: fc.Arbitrary<string> = mutated(
  fc
    .tuple(
      weighted(
        [6, [""]],
        [1, ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"]],
      ),
      message(statusLine, false),
    )
    .map((all) => all.join("")),
);

/** The stream in pieces, as sockets would deliver it. */
export function pieces(stream: string, fractions: readonly number[]): Buffer[] {
  const bytes = Buffer.from(stream, "latin1");
  const marks = [...fractions.map((fraction) => Math.floor(fraction * bytes.length)), bytes.length].sort(
    (a, b) => a - b,
  );
  let from = 0;
  return marks.flatMap((to) => {
    const piece = bytes.subarray(from, to);
    from = to;
    return piece.length === 0 ? [] : [piece];
  });
}

function frame(body: string): string {
  return body === "" ? "" : `${body.length.toString(16)}\r\n${body}\r\n`;
}

function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}
