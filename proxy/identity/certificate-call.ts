import { Client } from "@grpc/grpc-js";
import type { SocketAddress } from "../../common/model/node.ts";
import type { CertificateResponse } from "../../common/xds/certificate-service.ts";
import { certificateService } from "../../common/xds/certificate-service.ts";
import type { ControlPlaneChannel } from "./control-plane-channel.ts";

/** Has a signing request certified; resolves with the chain, PEM, roots last. Rejects with an Error that says why. */
export type RequestCertificate = (csr: string) => Promise<readonly string[]>;

/** ms until an answer is given up. */
const timeoutMs = 10_000;

/** Over gRPC, a connection per request: one is made about twice a day. */
export function certificateCall(
  address: SocketAddress,
  openChannel: () => ControlPlaneChannel,
  now: () => number,
): RequestCertificate {
  const target = address.host.includes(":")
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
  const { path, requestSerialize, responseDeserialize } = certificateService.CreateCertificate;
  return async (csr) => {
    const { credentials, metadata, options } = openChannel();
    const client = new Client(target, credentials, {
      ...options,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_http_proxy": 0,
      "grpc.enable_retries": 0,
    });
    try {
      const response = await new Promise<CertificateResponse>((resolve, reject) => {
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          { csr, validitySeconds: 0 },
          metadata,
          { deadline: now() + timeoutMs },
          (error, value) => (value === undefined ? reject(error) : resolve(value)),
        );
      });
      return response.chain;
    } finally {
      client.close();
    }
  };
}
