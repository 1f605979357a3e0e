// What the web apps of this folder have in common: the settings, sessions, and the page that names who is signed in.
import { randomUUID } from "node:crypto";

import express from "express";
import session from "express-session";

// AUTHORITY, CLIENT_ID, CLIENT_SECRET, SCOPES (of the web API), ENDPOINT (of the web API), APP_URL
export const settings = process.env;
export const scopes = settings.SCOPES.split(" ");
export const redirectUri = `${settings.APP_URL}/redirect`;

export const app = express();
app.use(express.urlencoded({ extended: false }));
app.use(session({ secret: randomUUID(), resave: false, saveUninitialized: false }));

app.get("/", (request, response) => {
  response.json({ user: request.session.user ?? null });
});

export async function callApi(accessToken) {
  const response = await fetch(settings.ENDPOINT, { headers: { Authorization: `Bearer ${accessToken}` } });
  return response.json();
}

export function listen() {
  app.listen(new URL(settings.APP_URL).port, "127.0.0.1", () => console.log("ready"));
}
