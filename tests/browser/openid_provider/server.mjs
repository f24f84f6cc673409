// An OpenID provider that is certified and was not written for these tests. Each start signs with a new key.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import Provider from "oidc-provider";

const { ISSUER, PORT, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI } = process.env;
const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
const provider = new Provider(ISSUER, {
  clients: [
    {
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      redirect_uris: [REDIRECT_URI],
      grant_types: ["authorization_code", "refresh_token"],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["given_name", "family_name"] },
  cookies: { keys: [randomUUID()] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      email: `${id}@example.com`,
      email_verified: true,
      given_name: "Olga",
      family_name: "Provider",
    }),
  }),
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  jwks: { keys: [{ ...key, kid: randomUUID(), use: "sig", alg: "RS256" }] },
  pkce: { required: () => true },
});
provider.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
