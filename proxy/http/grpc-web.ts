import { Body } from "./body.ts";
import type { Exchange, Response } from "./exchange.ts";
import type { HeaderList } from "./header-list.ts";
import type { Service } from "./layer.ts";

/**
 * Lets browsers call gRPC services (grpc/grpc doc/PROTOCOL-WEB.md): what comes as gRPC-Web goes on as gRPC, and the trailers, which browsers
 * can't read, come back as the last frame of the body. `-text` bodies are base64 both ways.
 */
export function translateGrpcWeb(next: Service): Service {
  return (exchange) => {
    const type = exchange.headers.get("content-type");
    return type?.startsWith(webType) ? call(exchange, type, next) : next(exchange);
  };
}

const webType = "application/grpc-web";
const textType = "application/grpc-web-text";

async function call(exchange: Exchange, type: string, next: Service): Promise<Response> {
  const isText = type.startsWith(textType);
  const { headers } = exchange;
  const format = type.slice(isText ? textType.length : webType.length);
  headers.set("content-type", `application/grpc${format}`);
  headers.set("te", "trailers");
  if (isText && exchange.body.length !== 0) {
    headers.remove("content-length");
    exchange.body = mapBody(exchange.body, base64Decoder());
  }
  try {
    return translateResponse(await next(exchange), isText);
  } finally {
    // Another attempt is translated anew.
    headers.set("content-type", type);
  }
}

function translateResponse(response: Response, isText: boolean): Response {
  const { headers } = response;
  const type = headers.get("content-type");
  if (!type?.startsWith("application/grpc")) return response;
  headers.set("content-type", (isText ? textType : webType) + type.slice("application/grpc".length));
  headers.remove("content-length");
  // The status stands in the head already, where browsers can read it.
  if (response.body.length === 0) return response;
  const framed = mapBody(response.body, trailerFramer());
  return { ...response, body: isText ? mapBody(framed, base64Encoder()) : framed };
}

/** Turns pieces of a body into others; what it gives for the end comes last. */
interface Mapping {
  data(piece: Buffer): Buffer;
  end(trailers: HeaderList | undefined): Buffer;
}

function mapBody(source: Body, mapping: Mapping): Body {
  const target = new Body(undefined);
  let isPiped = false;
  target.onCancel = (cause) => source.cancel(cause);
  target.onResume = () => {
    if (isPiped) {
      source.resume();
      return;
    }
    isPiped = true;
    source.pipe({
      data: (piece) => {
        const mapped = mapping.data(piece);
        return mapped.length === 0 || target.push(mapped);
      },
      end: (trailers) => {
        const last = mapping.end(trailers);
        if (last.length > 0) target.push(last);
        target.end();
      },
      fail: (cause) => target.fail(cause),
    });
  };
  return target;
}

function trailerFramer(): Mapping {
  return { data: (piece) => piece, end: trailerFrame };
}

/** A frame whose first bit says that it holds trailers, as HTTP/1.1 writes them. */
function trailerFrame(trailers: HeaderList | undefined): Buffer {
  if (trailers === undefined) return noOctets;
  const { raw } = trailers;
  let lines = "";
  for (let i = 0; i < raw.length; i += 2) lines += `${raw[i]!.toLowerCase()}: ${raw[i + 1]!}\r\n`;
  const frame = Buffer.alloc(5 + lines.length);
  frame[0] = 0x80;
  frame.writeUInt32BE(lines.length, 1);
  frame.write(lines, 5, "latin1");
  return frame;
}

/** Octets in threes; what is left over waits for more. */
function base64Encoder(): Mapping {
  let rest: Buffer = noOctets;
  return {
    data(piece) {
      const all = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      const whole = all.length - (all.length % 3);
      rest = Buffer.from(all.subarray(whole));
      return Buffer.from(all.toString("base64", 0, whole), "latin1");
    },
    end: () => Buffer.from(rest.toString("base64"), "latin1"),
  };
}

/** Letters in fours. Each may end in padding of its own, because clients encode message by message. */
function base64Decoder(): Mapping {
  let rest = "";
  const decode = (text: string): Buffer => {
    const parts = text.match(/[^=]+=*/g) ?? [];
    return parts.length === 1
      ? Buffer.from(text, "base64")
      : Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
  };
  return {
    data(piece) {
      const all = rest + piece.toString("latin1");
      const whole = all.length - (all.length % 4);
      rest = all.slice(whole);
      return decode(all.slice(0, whole));
    },
    end: () => decode(rest),
  };
}

const noOctets: Buffer = Buffer.alloc(0);
