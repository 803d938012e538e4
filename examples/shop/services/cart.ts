import { integerField } from "../lib/fields.ts";
import type { ServiceRoutes } from "../lib/service.ts";
import { runService, ServiceError } from "../lib/service.ts";
import { signedInUser } from "../lib/signed-in-user.ts";

export interface CartItem {
  readonly productId: number;
  readonly name: string;
  /** Cents for one. */
  readonly price: number;
  readonly quantity: number;
}

/** What each user is about to buy, in memory. Names and prices come from product, never from the caller. */
export function cartRoutes(): ServiceRoutes {
  const carts = new Map<string, readonly CartItem[]>();
  const view = (user: string) => {
    const items = carts.get(user) ?? [];
    return { user, items, total: items.reduce((sum, item) => sum + item.price * item.quantity, 0) };
  };

  return {
    "GET /cart": async (request) => ({ body: view(await signedInUser(request)) }),

    "POST /cart/items": async (request) => {
      const user = await signedInUser(request);
      const body = await request.json();
      const id = integerField(body, "productId", 1, 1_000_000);
      const quantity = integerField(body, "quantity", 1, 100);
      const product = await request.call("product", `/productms/products/${id}`);
      if (product.status === 404) throw new ServiceError(404, `there is no product ${id}`);
      const { name, price } = product.json;
      if (product.status !== 200 || typeof name !== "string" || typeof price !== "number") {
        throw new ServiceError(503, "product is not available");
      }
      const others = (carts.get(user) ?? []).filter((item) => item.productId !== id);
      carts.set(user, [...others, { productId: id, name, price, quantity }]);
      return { status: 201, body: view(user) };
    },

    "DELETE /cart": async (request) => {
      const user = await signedInUser(request);
      carts.delete(user);
      return { body: view(user) };
    },
  };
}

if (import.meta.main) await runService({ name: "cart", routes: cartRoutes() });
