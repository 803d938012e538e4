import { Catalogue } from "../lib/catalogue.ts";
import type { ServiceRequest, ServiceRoutes } from "../lib/service.ts";
import { runService, ServiceError } from "../lib/service.ts";

/** The catalogue, with the reviews of each product. v2 also recommends other products. */
export function productRoutes(catalogue: Catalogue, version: string): ServiceRoutes {
  const recommends = version !== "v1";
  return {
    "GET /productms/products": () => ({ body: { products: catalogue.all() } }),

    "GET /productms/products/:id": async (request, { id = "" }) => {
      const product = catalogue.byId(Number(id));
      if (product === undefined) throw new ServiceError(404, `there is no product ${id}`);
      return {
        body: {
          ...product,
          ...(recommends ? { recommended: catalogue.othersLike(product) } : {}),
          review: await reviewsOf(request, product.id),
        },
      };
    },
  };
}

/** A shop without reviews still sells, so their failure is part of the answer and not a failure of it. */
async function reviewsOf(request: ServiceRequest, id: number): Promise<Record<string, unknown>> {
  try {
    const reply = await request.call("review", `/reviews/${id}`, { timeoutMs: 5000 });
    if (reply.status === 200) return reply.json;
    return { error: "review not available", status: reply.status };
  } catch {
    return { error: "review not available" };
  }
}

if (import.meta.main) {
  const catalogue = Catalogue.open(process.env.CATALOGUE ?? ":memory:");
  await runService({ name: "product", routes: productRoutes(catalogue, process.env.VERSION ?? "v1") });
}
