import type { ServiceRequest } from "./service.ts";
import { ServiceError } from "./service.ts";

/** Who sends the request, as auth answers for its bearer token; 401 without a valid one, 503 when auth cannot say. */
export async function signedInUser(request: ServiceRequest): Promise<string> {
  if (request.headers.authorization === undefined) {
    throw new ServiceError(401, "sign in first: the authorization header is missing");
  }
  const reply = await request.call("auth", "/whoami").catch(() => undefined);
  if (reply?.status === 401) throw new ServiceError(401, "the token is not valid or has expired");
  if (reply?.status !== 200 || typeof reply.json.user !== "string") {
    throw new ServiceError(503, "auth is not available");
  }
  return reply.json.user;
}
