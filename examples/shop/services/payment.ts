import { randomUUID } from "node:crypto";
import { integerField, textField } from "../lib/fields.ts";
import type { ServiceRoutes } from "../lib/service.ts";
import { runService, ServiceError } from "../lib/service.ts";

/** In cents. Above it the bank says no, so that a declined payment can be tried out. */
const limit = 100_000;

/** Takes the money. Amounts are in cents. */
export const paymentRoutes: ServiceRoutes = {
  "POST /payments": async (request) => {
    const body = await request.json();
    const user = textField(body, "user");
    const amount = integerField(body, "amount", 1, 10_000_000);
    if (amount > limit) throw new ServiceError(402, "declined: the amount is above the limit of 1000.00");
    return { status: 201, body: { id: randomUUID(), user, amount, state: "paid" } };
  },
};

if (import.meta.main) await runService({ name: "payment", routes: paymentRoutes });
