import { randomUUID } from "node:crypto";
import { listField } from "../lib/fields.ts";
import type { ServiceRoutes } from "../lib/service.ts";
import { runService, ServiceError } from "../lib/service.ts";
import { signedInUser } from "../lib/signed-in-user.ts";

/** Turns a cart into an order: customer says where to, payment takes the money, cart is emptied. Orders live in memory. */
export function orderRoutes(): ServiceRoutes {
  const orders = new Map<string, Record<string, unknown>[]>();

  return {
    "GET /order/orders": async (request) => {
      const user = await signedInUser(request);
      return { body: { user, orders: orders.get(user) ?? [] } };
    },

    "POST /order/orders": async (request) => {
      const user = await signedInUser(request);
      const [cart, customer] = await Promise.all([
        request.call("cart", "/cart"),
        request.call("customer", `/customers/${encodeURIComponent(user)}`),
      ]);
      if (cart.status !== 200) throw new ServiceError(503, "cart is not available");
      if (customer.status !== 200) throw new ServiceError(503, "customer is not available");
      if (listField(cart.json, "items").length === 0) throw new ServiceError(409, "the cart is empty");

      const payment = await request.call("payment", "/payments", {
        method: "POST",
        body: { user, amount: cart.json.total },
      });
      if (payment.status === 402) throw new ServiceError(402, String(payment.json.error));
      if (payment.status !== 201) throw new ServiceError(503, "payment is not available");

      const order = {
        id: randomUUID(),
        items: cart.json.items,
        total: cart.json.total,
        shipTo: customer.json.address,
        payment: payment.json.id,
        through: [cart, customer, payment].map((reply) => reply.json.servedBy),
      };
      orders.set(user, [...(orders.get(user) ?? []), order]);
      await request.call("cart", "/cart", { method: "DELETE" });
      return { status: 201, body: order };
    },
  };
}

if (import.meta.main) await runService({ name: "order", routes: orderRoutes() });
