import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { textField } from "../lib/fields.ts";
import type { ServiceRoutes } from "../lib/service.ts";
import { runService, ServiceError } from "../lib/service.ts";

/** The users of the demonstration; a password is the name in lower case. */
const users = new Set(["X", "Anna", "Ben", "Carla"]);

const tokenLifetimeMs = 8 * 3_600_000;

/** Signs users in and says whom a token belongs to. Tokens are `user.expiry.signature` (HMAC-SHA256), nothing is stored. */
export function authRoutes(secret: Uint8Array, now: () => number): ServiceRoutes {
  const sign = (text: string) => createHmac("sha256", secret).update(text).digest("base64url");

  return {
    "POST /login": async (request) => {
      const body = await request.json();
      const user = textField(body, "user");
      const password = textField(body, "password");
      if (!users.has(user) || password !== user.toLowerCase()) {
        throw new ServiceError(401, "unknown user or wrong password");
      }
      const claim = `${Buffer.from(user).toString("base64url")}.${now() + tokenLifetimeMs}`;
      return { body: { user, token: `${claim}.${sign(claim)}` } };
    },

    "GET /whoami": (request) => {
      const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";
      const [name = "", expiry = "", signature = ""] = token.split(".");
      const expected = Buffer.from(sign(`${name}.${expiry}`));
      const given = Buffer.from(signature);
      const isGenuine = given.length === expected.length && timingSafeEqual(given, expected);
      if (!isGenuine || Number(expiry) < now()) throw new ServiceError(401, "the token is not valid");
      return { body: { user: Buffer.from(name, "base64url").toString("utf8") } };
    },
  };
}

if (import.meta.main) {
  const secret = process.env.AUTH_SECRET ? Buffer.from(process.env.AUTH_SECRET) : randomBytes(32);
  await runService({ name: "auth", routes: authRoutes(secret, Date.now) });
}
