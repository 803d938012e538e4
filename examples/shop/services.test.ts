import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Catalogue } from "./lib/catalogue.ts";
import type { RunningService, ServiceRoutes } from "./lib/service.ts";
import { startService } from "./lib/service.ts";
import { authRoutes } from "./services/auth.ts";
import { cartRoutes } from "./services/cart.ts";
import { customerRoutes } from "./services/customer.ts";
import { orderRoutes } from "./services/order.ts";
import { paymentRoutes } from "./services/payment.ts";
import { productRoutes } from "./services/product.ts";
import { reviewRoutes } from "./services/review.ts";
import { uiRoutes } from "./services/ui.ts";

type Json = ReturnType<typeof JSON.parse>;

/** Services by name, and a stand-in for the sidecar: it forwards by Host header and notes what it saw. */
class Shop {
  readonly services = new Map<string, RunningService>();
  readonly seen: { host: string; path: string; trace: string | undefined; user: string | undefined }[] = [];
  meshUrl = "";
  #sidecar = createServer((incoming, outgoing) => {
    const host = incoming.headers.host ?? "";
    const { traceparent, "end-user": user } = incoming.headers as Record<string, string | undefined>;
    this.seen.push({ host, path: incoming.url ?? "", trace: traceparent, user });
    const service = this.services.get(host.replace(":9080", ""));
    if (service === undefined) {
      outgoing.writeHead(503).end("no healthy upstream");
      return;
    }
    const onward = httpRequest(
      new URL(incoming.url ?? "/", service.url),
      { method: incoming.method, headers: incoming.headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    incoming.pipe(onward);
  });

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#sidecar.listen(0, "127.0.0.1", resolve));
    this.meshUrl = `http://127.0.0.1:${(this.#sidecar.address() as AddressInfo).port}`;
  }

  async start(name: string, version: string, routes: ServiceRoutes): Promise<void> {
    const { meshUrl } = this;
    this.services.set(name, await startService({ name, version, port: 0, meshUrl, routes }));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.services.values()].map((service) => service.stop()));
    this.#sidecar.closeAllConnections();
    await new Promise((resolve) => this.#sidecar.close(resolve));
  }

  async call(
    service: string,
    path: string,
    init: RequestInit = {},
  ): Promise<{ status: number; servedBy: string | null; json: Json }> {
    const response = await fetch(`${this.services.get(service)!.url}${path}`, init);
    const json = (await response.json()) as Json;
    return { status: response.status, servedBy: response.headers.get("x-served-by"), json };
  }
}

let shop: Shop;

async function openShop(): Promise<Shop> {
  shop = new Shop();
  await shop.open();
  return shop;
}

afterEach(() => shop.stop());

describe("product", () => {
  it("it says who served it, in the body and in a header", async () => {
    await openShop();
    await shop.start("product", "v2", productRoutes(Catalogue.open(":memory:"), "v2"));
    const { json, servedBy } = await shop.call("product", "/productms/products");
    expect(servedBy).toBe("product-v2");
    expect(json.servedBy).toBe("product-v2");
    expect(json.products).toHaveLength(6);
  });

  it("it shows the reviews of the version that answered, and passes trace and user on", async () => {
    await openShop();
    await shop.start("product", "v1", productRoutes(Catalogue.open(":memory:"), "v1"));
    await shop.start("review", "v3", reviewRoutes("v3"));
    const headers = {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "end-user": "X",
    };
    const { json } = await shop.call("product", "/productms/products/1", { headers });
    expect(json.review.servedBy).toBe("review-v3");
    expect(json.review.reviews[0].rating.color).toBe("red");
    expect(json).not.toHaveProperty("recommended");
    expect(shop.seen).toEqual([
      { host: "review:9080", path: "/reviews/1", trace: headers.traceparent, user: "X" },
    ]);
  });

  it("it still answers when review does not", async () => {
    await openShop();
    await shop.start("product", "v2", productRoutes(Catalogue.open(":memory:"), "v2"));
    const { status, json } = await shop.call("product", "/productms/products/2");
    expect(status).toBe(200);
    expect(json.review).toEqual({ error: "review not available", status: 503 });
    expect(json.recommended).toEqual([expect.objectContaining({ name: "Boat shuttle" })]);
  });

  it.each(["99", "0", "x", "1e400", "%00", "constructor"])("it has no product %s", async (id) => {
    await openShop();
    await shop.start("product", "v1", productRoutes(Catalogue.open(":memory:"), "v1"));
    expect((await shop.call("product", `/productms/products/${id}`)).status).toBe(404);
  });
});

describe("review", () => {
  it.each([
    ["v1", undefined],
    ["v2", "black"],
    ["v3", "red"],
  ])("it has in %s stars of colour %s", async (version, color) => {
    await openShop();
    await shop.start("review", version, reviewRoutes(version));
    const { json } = await shop.call("review", "/reviews/1");
    expect(json.reviews[0].rating?.color).toBe(color);
  });
});

describe("auth", () => {
  const signIn = (user: string, password: string) => ({
    method: "POST",
    body: JSON.stringify({ user, password }),
  });

  it("it knows whom its own token belongs to, until it expires", async () => {
    let now = 1_000_000;
    await openShop();
    await shop.start(
      "auth",
      "v1",
      authRoutes(new Uint8Array(32), () => now),
    );
    const { token } = (await shop.call("auth", "/login", signIn("X", "x"))).json;
    const headers = { authorization: `Bearer ${token}` };
    expect((await shop.call("auth", "/whoami", { headers })).json.user).toBe("X");
    const forged = { authorization: `Bearer ${token.replace(/^[^.]*/, "QW5uYQ")}` };
    expect((await shop.call("auth", "/whoami", { headers: forged })).status).toBe(401);
    now += 9 * 3_600_000;
    expect((await shop.call("auth", "/whoami", { headers })).status).toBe(401);
  });

  it.each([
    [signIn("X", "wrong"), 401],
    [signIn("__proto__", "__proto__"), 401],
    [{ method: "POST", body: "{" }, 400],
    [{ method: "POST", body: JSON.stringify({ user: "X" }) }, 400],
    [{ method: "POST", body: "x".repeat(70_000) }, 413],
  ])("it refuses a bad sign-in (case %#)", async (init, status) => {
    await openShop();
    await shop.start("auth", "v1", authRoutes(new Uint8Array(32), Date.now));
    expect((await shop.call("auth", "/login", init)).status).toBe(status);
  });
});

describe("order", () => {
  it("it sells a cart through customer, payment and cart, at product's price", async () => {
    await openShop();
    await shop.start("product", "v1", productRoutes(Catalogue.open(":memory:"), "v1"));
    await shop.start("auth", "v1", authRoutes(new Uint8Array(32), Date.now));
    await shop.start("cart", "v1", cartRoutes());
    await shop.start("customer", "v1", customerRoutes);
    await shop.start("payment", "v1", paymentRoutes);
    await shop.start("order", "v1", orderRoutes());

    expect((await shop.call("order", "/order/orders", { method: "POST" })).status).toBe(401);
    const login = { method: "POST", body: JSON.stringify({ user: "Anna", password: "anna" }) };
    const { token } = (await shop.call("auth", "/login", login)).json;
    const headers = { authorization: `Bearer ${token}` };
    const order = () => shop.call("order", "/order/orders", { method: "POST", headers });
    const put = (product: number, quantity: number) =>
      shop.call("cart", "/cart/items", {
        method: "POST",
        headers,
        body: JSON.stringify({ productId: product, quantity, price: 1 }),
      });

    expect((await order()).status).toBe(409);
    expect((await put(3, 2)).json.total).toBe(2900);
    const placed = await order();
    expect(placed.status).toBe(201);
    expect(placed.json).toMatchObject({
      total: 2900,
      shipTo: "12 Harbour Street, Hamburg",
      through: ["cart-v1", "customer-v1", "payment-v1"],
    });
    expect((await shop.call("cart", "/cart", { headers })).json.items).toEqual([]);
    expect((await shop.call("order", "/order/orders", { headers })).json.orders).toHaveLength(1);

    await put(2, 50);
    expect((await order()).status).toBe(402);
  });
});

describe("ui", () => {
  it("it gives the page and its parts, and sends /ui to /ui/", async () => {
    await openShop();
    await shop.start("ui", "v1", await uiRoutes());
    const { url } = shop.services.get("ui")!;
    const page = await fetch(`${url}/ui`);
    expect(page.url).toBe(`${url}/ui/`);
    const html = await page.text();
    for (const [, asset] of html.matchAll(/(?:src|href)="([a-z]+\.(?:js|css))"/g)) {
      const part = await fetch(`${url}/ui/${asset}`);
      expect(part.headers.get("content-type"), asset).toMatch(/css|javascript/);
    }
    expect(html).not.toMatch(/https?:\/\//);
  });
});
