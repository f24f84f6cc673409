// Calls every function of @directus/sdk that README says works: node sdk.mjs URL README
// SECRET, ADMIN_EMAIL and ADMIN_PASSWORD are the server's; it is left with what is made on the way.
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as sdk from '@directus/sdk';

const [url, readme] = process.argv.slice(2);
const { SECRET, ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = process.env;

const base64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const signed = (claims) => {
	const now = Math.floor(Date.now() / 1000);
	const text = `${base64({ alg: 'HS256', typ: 'JWT' })}.${base64({ ...claims, iat: now, exp: now + 600, iss: 'directus' })}`;
	return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
};
const code = (secret) => {
	const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
	const bits = [...secret].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('');
	const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
	const counter = Buffer.alloc(8);
	counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
	const digest = createHmac('sha1', key).update(counter).digest();
	return String((digest.readUInt32BE(digest[19] & 15) & 0x7fffffff) % 1000000).padStart(6, '0');
};
const holds = (claim, what) => {
	if (!claim) throw new Error(`${JSON.stringify(what)?.slice(0, 200)} is not what it should be`);
};
const refused = async (promise, expected) => {
	const found = await promise.then(() => 'nothing', (error) => error?.errors?.[0]?.extensions?.code ?? error.message);
	holds(found === expected, found);
};

const client = (...more) => more.reduce((made, one) => made.with(one), sdk.createDirectus(url)).with(sdk.rest()).with(sdk.graphql());
const admin = client(sdk.authentication('json', { autoRefresh: false }));
const person = client(sdk.authentication('json', { autoRefresh: false }));
const ask = (command) => admin.request(command);
const many = { filter: { name: { _starts_with: 'one of' } }, fields: ['id'] };
const keys = (rows) => rows.map((row) => row.id);
const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const made = {};

/** The eight or ten functions of a collection, as create, read, change and delete go. */
function collection(one, several, row, change, more = {}) {
	const call = (name, ...args) => async () => ask(sdk[name](...(await Promise.all(args.map((arg) => (typeof arg === 'function' ? arg() : arg))))));
	return {
		[`create${one}`]: async () => (made[one] = await ask(sdk[`create${one}`](row('a single one')))),
		[`create${several}`]: async () => (made[several] = await ask(sdk[`create${several}`]([row('one of two'), row('two of two')]))),
		...changes(one, several, change, call),
		...more,
		[`delete${several}`]: call(`delete${several}`, () => keys(made[several])),
		[`delete${one}`]: call(`delete${one}`, () => made[one].id),
	};
}

function changes(one, several, change, call = (name, ...args) => async () => ask(sdk[name](...args.map((arg) => arg())))) {
	return {
		[`read${several}`]: async () => holds((await ask(sdk[`read${several}`]({ fields: ['id'], limit: -1 }))).length >= 3, several),
		[`read${one}`]: async () => holds((await ask(sdk[`read${one}`](made[one].id))).id === made[one].id, one),
		[`update${one}`]: call(`update${one}`, () => made[one].id, () => change),
		[`update${several}`]: call(`update${several}`, () => keys(made[several]), () => change),
		[`update${several}Batch`]: call(`update${several}Batch`, () => keys(made[several]).map((id) => ({ id, ...change }))),
	};
}

const form = (...names) => {
	const body = new FormData();
	for (const name of names) {
		body.append('title', name);
		body.append('file', new Blob([png], { type: 'image/png' }), `${name}.png`);
	}
	return body;
};
const bytes = async (held) => holds(Buffer.from(await held).equals(png), 'an asset');
const person_login = () => person.login({ email: 'user-a@example.com', password: 'of a single one' });

/** Each function with a call of it, in the order in which they are made. */
const calls = {
	readProviders: async () => holds((await client().request(sdk.readProviders())).length === 0, 'providers'),
	auth: () => holds(sdk.auth, 'auth'),
	authentication: () => holds(sdk.authentication, 'authentication'),
	login: () => admin.login({ email, password }),
	refresh: () => admin.refresh(),
	serverPing: () => ask(sdk.serverPing()),
	serverInfo: () => ask(sdk.serverInfo()),
	serverHealth: () => ask(sdk.serverHealth()),
	readGraphqlSdl: () => ask(sdk.readGraphqlSdl('system')),
	readOpenApiSpec: async () => holds((await ask(sdk.readOpenApiSpec())).openapi, 'a document'),
	randomString: () => ask(sdk.randomString(12)),
	clearCache: () => ask(sdk.clearCache()),
	...collection('Role', 'Roles', (name) => ({ name }), { icon: 'badge' }, {
		readRolesMe: () => ask(sdk.readRolesMe()),
	}),
	...collection('Policy', 'Policies', (name) => ({ name }), { icon: 'badge' }, {
		readPolicyGlobals: async () => holds((await ask(sdk.readPolicyGlobals())).admin_access, 'globals'),
		...collection('Permission', 'Permissions', () => ({ policy: made.Policy.id, collection: 'directus_users', action: 'read', fields: ['id'] }), { fields: ['id', 'email'] }, {
			readUserPermissions: () => ask(sdk.readUserPermissions()),
			readItemPermissions: () => ask(sdk.readItemPermissions('directus_policies', made.Policy.id)),
		}),
	}),
	...collection('Folder', 'Folders', (name) => ({ name }), { name: 'changed' }),
	uploadFiles: async () => {
		made.File = await ask(sdk.uploadFiles(form('one')));
		made.Files = await ask(sdk.uploadFiles(form('two', 'three')));
		holds(made.File.type === 'image/png' && made.Files.length === 2, made);
	},
	readAssetRaw: async () => bytes(new Response(await ask(sdk.readAssetRaw(made.File.id))).arrayBuffer()),
	readAssetBlob: async () => bytes((await ask(sdk.readAssetBlob(made.File.id))).arrayBuffer()),
	readAssetArrayBuffer: () => bytes(ask(sdk.readAssetArrayBuffer(made.File.id))),
	...changes('File', 'Files', { title: 'changed' }),
	deleteFiles: () => ask(sdk.deleteFiles(keys(made.Files))),
	deleteFile: () => ask(sdk.deleteFile(made.File.id)),
	readSettings: () => ask(sdk.readSettings()),
	updateSettings: () => ask(sdk.updateSettings({ public_registration: true })),
	...collection('User', 'Users', (name) => ({ email: `${name.replaceAll(' ', '-')}@example.com` }), { title: 'changed' }, {
		readMe: () => ask(sdk.readMe()),
		updateMe: () => ask(sdk.updateMe({ title: 'still here' })),
	}),
	inviteUser: async () => {
		made.ReaderRole = await ask(sdk.createRole({ name: 'readers' }));
		await ask(sdk.inviteUser('user-a@example.com', made.ReaderRole.id));
	},
	acceptUserInvite: () => client().request(sdk.acceptUserInvite(signed({ email: 'user-a@example.com', scope: 'invite' }), 'of a single one')),
	registerUser: () => client().request(sdk.registerUser('user-b@example.com', 'of a single one')),
	registerUserVerify: () => client().request(sdk.registerUserVerify(signed({ email: 'user-b@example.com', scope: 'pending-registration' }))),
	passwordRequest: () => client().request(sdk.passwordRequest('user-a@example.com')),
	passwordReset: () => refused(client().request(sdk.passwordReset('no token', 'another one')), 'INVALID_TOKEN'),
	generateTwoFactorSecret: async () => {
		await person_login();
		made.secret = (await person.request(sdk.generateTwoFactorSecret('of a single one'))).secret;
	},
	enableTwoFactor: () => person.request(sdk.enableTwoFactor(made.secret, code(made.secret))),
	disableTwoFactor: () => person.request(sdk.disableTwoFactor(code(made.secret))),
	staticToken: async () => {
		made.token = `static-${Date.now().toString(36)}`;
		await ask(sdk.updateMe({ token: made.token }));
		const me = await client(sdk.staticToken(made.token)).request(sdk.readMe({ fields: ['email'] }));
		holds(me.email === email, me);
	},
	withToken: () => client().request(sdk.withToken(made.token, sdk.readMe())),
	withSearch: () => ask(sdk.withSearch(sdk.readRoles(many))),
	withOptions: () => ask(sdk.withOptions(sdk.readRoles(many), { cache: 'no-store' })),
	queryToParams: () => ask(sdk.customEndpoint({ path: '/roles', params: sdk.queryToParams(many) })),
	formatFields: () => ask(sdk.customEndpoint({ path: '/roles', params: { fields: sdk.formatFields(['id', { users: ['email'] }]) } })),
	graphql: async () => holds((await admin.query('{ users_me { email } }', {}, 'system')).users_me.email === email, 'graphql'),
	readActivities: async () => (made.Activities = await ask(sdk.readActivities({ limit: 2 }))),
	readActivity: () => ask(sdk.readActivity(made.Activities[0].id)),
	readRevisions: async () => (made.Revisions = await ask(sdk.readRevisions({ limit: 2 }))),
	readRevision: () => ask(sdk.readRevision(made.Revisions[0].id)),
	logout: () => admin.logout(),
};

const table = readFileSync(readme, 'utf8').split('## What works')[1].split('\n## ')[0];
const works = table.split('\n').filter((line) => line.startsWith('| ')).flatMap((line) => line.split(' | ')[1].match(/(?<=`)\w+(?=`)/g) ?? []);
const promised = works.filter((name) => name in sdk && name !== 'aggregate');
const failures = promised.filter((name) => !(name in calls)).map((name) => `${name}: README promises it, and it isn't tried`);
for (const [name, call] of Object.entries(calls)) {
	if (!promised.includes(name)) failures.push(`${name}: it is tried, and README doesn't promise it`);
	await Promise.resolve().then(call).catch((error) => failures.push(`${name}: ${JSON.stringify(error.errors ?? error.message ?? error.status)}`));
}
console.log(`${Object.keys(calls).length} functions of @directus/sdk, ${failures.length} failures`);
for (const failure of failures) console.log(`  ${failure}`);
process.exit(failures.length ? 1 : 0);
