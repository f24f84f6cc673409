// Calls every function of @directus/sdk that the compatibility page lists: node sdk.mjs URL PAGE
// SECRET, ADMIN_EMAIL and ADMIN_PASSWORD are those of the server. The created rows are not deleted.
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as sdk from '@directus/sdk';

const [url, readme] = process.argv.slice(2);
const { SECRET, ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = process.env;

const base64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const sign = (claims) => {
	const now = Math.floor(Date.now() / 1000);
	const text = `${base64({ alg: 'HS256', typ: 'JWT' })}.${base64({ ...claims, iat: now, exp: now + 600, iss: 'directus' })}`;
	return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
};
const otp = (secret) => {
	const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
	const bits = [...secret].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('');
	const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
	const counter = Buffer.alloc(8);
	counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
	const digest = createHmac('sha1', key).update(counter).digest();
	return String((digest.readUInt32BE(digest[19] & 15) & 0x7fffffff) % 1000000).padStart(6, '0');
};
const check = (condition, value) => {
	if (!condition) throw new Error(`unexpected value: ${JSON.stringify(value)?.slice(0, 200)}`);
};
const expectError = async (promise, expected) => {
	const code = await promise.then(() => 'no error', (error) => error?.errors?.[0]?.extensions?.code ?? error.message);
	check(code === expected, code);
};

const client = (...extensions) => extensions.reduce((client, extension) => client.with(extension), sdk.createDirectus(url)).with(sdk.rest()).with(sdk.graphql());
const admin = client(sdk.authentication('json', { autoRefresh: false }));
const user = client(sdk.authentication('json', { autoRefresh: false }));
const request = (command) => admin.request(command);
const many = { filter: { name: { _starts_with: 'one of' } }, fields: ['id'] };
const keys = (rows) => rows.map((row) => row.id);
const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const created = {};

/** The functions of a collection, in the order create, read, update, delete. */
function collection(one, several, row, change, more = {}) {
	const call = (name, ...args) => async () => request(sdk[name](...(await Promise.all(args.map((arg) => (typeof arg === 'function' ? arg() : arg))))));
	return {
		[`create${one}`]: async () => (created[one] = await request(sdk[`create${one}`](row('a single one')))),
		[`create${several}`]: async () => (created[several] = await request(sdk[`create${several}`]([row('one of two'), row('two of two')]))),
		...readsAndUpdates(one, several, change, call),
		...more,
		[`delete${several}`]: call(`delete${several}`, () => keys(created[several])),
		[`delete${one}`]: call(`delete${one}`, () => created[one].id),
	};
}

function readsAndUpdates(one, several, change, call = (name, ...args) => async () => request(sdk[name](...args.map((arg) => arg())))) {
	return {
		[`read${several}`]: async () => check((await request(sdk[`read${several}`]({ fields: ['id'], limit: -1 }))).length >= 3, several),
		[`read${one}`]: async () => check((await request(sdk[`read${one}`](created[one].id))).id === created[one].id, one),
		[`update${one}`]: call(`update${one}`, () => created[one].id, () => change),
		[`update${several}`]: call(`update${several}`, () => keys(created[several]), () => change),
		[`update${several}Batch`]: call(`update${several}Batch`, () => keys(created[several]).map((id) => ({ id, ...change }))),
	};
}

const users = 'directus_users';
const manager = { collection: users, field: 'manager', related_collection: users, schema: { on_delete: 'SET NULL' }, meta: { one_field: 'reports' } };
const named = (entries, name) => entries.find((entry) => entry.collection === users && entry.field === name);

/** The functions that describe and change the schema; fields are used between their creation and their deletion. */
function schemaCalls() {
	return {
		createField: async () => {
			const field = await request(sdk.createField(users, { field: 'phone', type: 'string', schema: { max_length: 32 }, meta: { note: 'A note' } }));
			check(field.type === 'string' && field.schema.max_length === 32, field);
			await request(sdk.createField(users, { field: 'manager', type: 'uuid', meta: { special: ['m2o'] } }));
			await request(sdk.createField(users, { field: 'reports', type: 'alias', meta: { special: ['o2m'] } }));
			const me = await request(sdk.updateMe({ phone: '+49 1' }, { fields: ['phone'] }));
			check(me.phone === '+49 1', me);
		},
		readFields: async () => check(named(await request(sdk.readFields()), 'phone').meta.note === 'A note', 'fields'),
		readFieldsByCollection: async () => check(named(await request(sdk.readFieldsByCollection(users)), 'phone'), 'fields'),
		readField: async () => check((await request(sdk.readField(users, 'phone'))).collection === users, 'a field'),
		updateField: async () => check((await request(sdk.updateField(users, 'phone', { meta: { note: 'Another' } }))).meta.note === 'Another', 'a field'),
		updateFields: async () => check((await request(sdk.updateFields(users, [{ field: 'phone', meta: { width: 'half' } }])))[0].meta.width === 'half', 'fields'),
		createRelation: async () => check((await request(sdk.createRelation(manager))).meta.one_field === 'reports', 'a relation'),
		readRelations: async () => {
			check(named(await request(sdk.readRelations()), 'manager').related_collection === users, 'relations');
			const me = await request(sdk.readMe({ fields: ['id', { manager: ['email'] }, { reports: ['email'] }] }));
			check(me.manager === null && me.reports.length === 0, me);
		},
		readRelationByCollection: async () => check(named(await request(sdk.readRelationByCollection(users)), 'manager'), 'relations'),
		readRelation: async () => check((await request(sdk.readRelation(users, 'manager'))).schema.on_delete === 'SET NULL', 'a relation'),
		updateRelation: async () => {
			const change = { collection: users, field: 'manager', schema: { on_delete: 'RESTRICT' } };
			check((await request(sdk.updateRelation(users, 'manager', change))).schema.on_delete === 'RESTRICT', 'a relation');
		},
		readCollections: async () => check((await request(sdk.readCollections())).some((entry) => entry.collection === users), 'collections'),
		readCollection: async () => check((await request(sdk.readCollection(users))).collection === users, 'a collection'),
		schemaSnapshot: async () => {
			const snapshot = await request(sdk.schemaSnapshot());
			check(named(snapshot.fields, 'phone') && named(snapshot.relations, 'manager') && snapshot.version === 1, snapshot);
		},
		deleteRelation: () => request(sdk.deleteRelation(users, 'manager')),
		deleteField: async () => {
			for (const name of ['phone', 'manager', 'reports']) await request(sdk.deleteField(users, name));
			await expectError(request(sdk.readField(users, 'phone')), 'FORBIDDEN');
			await expectError(request(sdk.deleteField(users, 'email')), 'INVALID_PAYLOAD');
		},
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
const bytes = async (content) => check(Buffer.from(await content).equals(png), 'an asset');
const loginUser = () => user.login({ email: 'user-a@example.com', password: 'of a single one' });

/** A call of each function, in order of execution. */
const calls = {
	readProviders: async () => check((await client().request(sdk.readProviders())).length === 0, 'providers'),
	auth: () => check(sdk.auth, 'auth'),
	authentication: () => check(sdk.authentication, 'authentication'),
	login: () => admin.login({ email, password }),
	refresh: () => admin.refresh(),
	serverPing: () => request(sdk.serverPing()),
	serverInfo: () => request(sdk.serverInfo()),
	serverHealth: () => request(sdk.serverHealth()),
	readGraphqlSdl: () => request(sdk.readGraphqlSdl('system')),
	readOpenApiSpec: async () => check((await request(sdk.readOpenApiSpec())).openapi, 'a document'),
	randomString: () => request(sdk.randomString(12)),
	clearCache: () => request(sdk.clearCache()),
	...collection('Role', 'Roles', (name) => ({ name }), { icon: 'badge' }, {
		readRolesMe: () => request(sdk.readRolesMe()),
	}),
	...collection('Policy', 'Policies', (name) => ({ name }), { icon: 'badge' }, {
		readPolicyGlobals: async () => check((await request(sdk.readPolicyGlobals())).admin_access, 'globals'),
		...collection('Permission', 'Permissions', () => ({ policy: created.Policy.id, collection: 'directus_users', action: 'read', fields: ['id'] }), { fields: ['id', 'email'] }, {
			readUserPermissions: () => request(sdk.readUserPermissions()),
			readItemPermissions: () => request(sdk.readItemPermissions('directus_policies', created.Policy.id)),
		}),
	}),
	...collection('Folder', 'Folders', (name) => ({ name }), { name: 'changed' }),
	uploadFiles: async () => {
		created.File = await request(sdk.uploadFiles(form('one')));
		created.Files = await request(sdk.uploadFiles(form('two', 'three')));
		check(created.File.type === 'image/png' && created.Files.length === 2, created);
	},
	readAssetRaw: async () => bytes(new Response(await request(sdk.readAssetRaw(created.File.id))).arrayBuffer()),
	readAssetBlob: async () => bytes((await request(sdk.readAssetBlob(created.File.id))).arrayBuffer()),
	readAssetArrayBuffer: () => bytes(request(sdk.readAssetArrayBuffer(created.File.id))),
	...readsAndUpdates('File', 'Files', { title: 'changed' }),
	deleteFiles: () => request(sdk.deleteFiles(keys(created.Files))),
	deleteFile: () => request(sdk.deleteFile(created.File.id)),
	readSettings: () => request(sdk.readSettings()),
	updateSettings: () => request(sdk.updateSettings({ public_registration: true })),
	...collection('User', 'Users', (name) => ({ email: `${name.replaceAll(' ', '-')}@example.com` }), { title: 'changed' }, {
		readMe: () => request(sdk.readMe()),
		updateMe: () => request(sdk.updateMe({ title: 'still here' })),
	}),
	inviteUser: async () => {
		created.ReaderRole = await request(sdk.createRole({ name: 'readers' }));
		await request(sdk.inviteUser('user-a@example.com', created.ReaderRole.id));
	},
	acceptUserInvite: () => client().request(sdk.acceptUserInvite(sign({ email: 'user-a@example.com', scope: 'invite' }), 'of a single one')),
	registerUser: () => client().request(sdk.registerUser('user-b@example.com', 'of a single one')),
	registerUserVerify: () => client().request(sdk.registerUserVerify(sign({ email: 'user-b@example.com', scope: 'pending-registration' }))),
	passwordRequest: () => client().request(sdk.passwordRequest('user-a@example.com')),
	passwordReset: () => expectError(client().request(sdk.passwordReset('no token', 'another one')), 'INVALID_TOKEN'),
	generateTwoFactorSecret: async () => {
		await loginUser();
		created.secret = (await user.request(sdk.generateTwoFactorSecret('of a single one'))).secret;
	},
	enableTwoFactor: () => user.request(sdk.enableTwoFactor(created.secret, otp(created.secret))),
	disableTwoFactor: () => user.request(sdk.disableTwoFactor(otp(created.secret))),
	staticToken: async () => {
		created.token = `static-${Date.now().toString(36)}`;
		await request(sdk.updateMe({ token: created.token }));
		const me = await client(sdk.staticToken(created.token)).request(sdk.readMe({ fields: ['email'] }));
		check(me.email === email, me);
	},
	withToken: () => client().request(sdk.withToken(created.token, sdk.readMe())),
	withSearch: () => request(sdk.withSearch(sdk.readRoles(many))),
	withOptions: () => request(sdk.withOptions(sdk.readRoles(many), { cache: 'no-store' })),
	queryToParams: () => request(sdk.customEndpoint({ path: '/roles', params: sdk.queryToParams(many) })),
	formatFields: () => request(sdk.customEndpoint({ path: '/roles', params: { fields: sdk.formatFields(['id', { users: ['email'] }]) } })),
	graphql: async () => check((await admin.query('{ users_me { email } }', {}, 'system')).users_me.email === email, 'graphql'),
	readActivities: async () => (created.Activities = await request(sdk.readActivities({ limit: 2 }))),
	readActivity: () => request(sdk.readActivity(created.Activities[0].id)),
	readRevisions: async () => (created.Revisions = await request(sdk.readRevisions({ limit: 2 }))),
	readRevision: () => request(sdk.readRevision(created.Revisions[0].id)),
	...schemaCalls(),
	logout: () => admin.logout(),
};

const table = readFileSync(readme, 'utf8').split('## What works')[1].split('\n## ')[0];
const names = table.split('\n').filter((line) => line.startsWith('| ')).flatMap((line) => line.split(' | ')[1].match(/(?<=`)\w+(?=`)/g) ?? []);
const listed = names.filter((name) => name in sdk && name !== 'aggregate');
const failures = listed.filter((name) => !(name in calls)).map((name) => `${name}: the compatibility page lists it, but it isn't called`);
for (const [name, call] of Object.entries(calls)) {
	if (!listed.includes(name)) failures.push(`${name}: it is called, but the page doesn't list it`);
	await Promise.resolve().then(call).catch((error) => failures.push(`${name}: ${JSON.stringify(error.errors ?? error.message ?? error.status)}`));
}
console.log(`${Object.keys(calls).length} functions of @directus/sdk, ${failures.length} failures`);
for (const failure of failures) console.log(`  ${failure}`);
process.exit(failures.length ? 1 : 0);
