import protobuf from "protobufjs/minimal.js";
import messages from "./generated/messages.js";

/**
 * The call by which a workload asks for its certificate, in the shape that Istio's agents use (istio.v1.auth). Its two messages are
 * small enough to be written by hand: csr = 1, validity_duration = 3, metadata = 4; cert_chain = 1.
 */
export const certificateService = {
  CreateCertificate: {
    path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
    requestStream: false,
    responseStream: false,
    requestSerialize: encodeRequest,
    requestDeserialize: decodeRequest,
    responseSerialize: encodeResponse,
    responseDeserialize: decodeResponse,
  },
} as const;

export interface CertificateRequest {
  /** PKCS#10, PEM. */
  readonly csr: string;
  /** How long it is to hold, in seconds; 0: as long as the authority gives. */
  readonly validitySeconds: number;
}

export interface CertificateResponse {
  /** PEM, the leaf first; a root, or several, last. */
  readonly chain: readonly string[];
}

const { Struct } = messages.google.protobuf;

function encodeRequest({ csr, validitySeconds }: CertificateRequest): Buffer {
  const writer = protobuf.Writer.create();
  writer.uint32(tag(1, 2)).string(csr);
  if (validitySeconds > 0) writer.uint32(tag(3, 0)).int64(Math.floor(validitySeconds));
  return toBuffer(writer.finish());
}

/** Throws when the bytes are no such message; gRPC then answers INTERNAL. */
function decodeRequest(bytes: Uint8Array): CertificateRequest {
  const reader = protobuf.Reader.create(bytes);
  let csr = "";
  let validitySeconds = 0;
  while (reader.pos < reader.len) {
    const key = reader.uint32();
    if (key === tag(1, 2)) csr = reader.string();
    else if (key === tag(3, 0)) validitySeconds = Number(String(reader.int64()));
    // Istio's agents name their cluster and signer here; nothing of it counts, but it must be well formed.
    else if (key === tag(4, 2)) Struct.decode(reader.bytes());
    else reader.skipType(key & 7);
  }
  return { csr, validitySeconds: validitySeconds > 0 ? validitySeconds : 0 };
}

function encodeResponse({ chain }: CertificateResponse): Buffer {
  const writer = protobuf.Writer.create();
  for (const certificate of chain) writer.uint32(tag(1, 2)).string(certificate);
  return toBuffer(writer.finish());
}

function decodeResponse(bytes: Uint8Array): CertificateResponse {
  const reader = protobuf.Reader.create(bytes);
  const chain: string[] = [];
  while (reader.pos < reader.len) {
    const key = reader.uint32();
    if (key === tag(1, 2)) chain.push(reader.string());
    else reader.skipType(key & 7);
  }
  return { chain };
}

function tag(field: number, wireType: 0 | 2): number {
  return (field << 3) | wireType;
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
