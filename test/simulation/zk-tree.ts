// zk-tree.ts: the tree of nodes that ZooKeeper keeps, as one server has it in memory.
//
// Pure bookkeeping: operations are checked against the tree and become effects; effects make the same of every copy.

import type { Operation, Stat, ZooKeeperErrorCode } from '../../transport/zookeeper/zookeeper.ts';

export type TreeNode = {
  readonly data: Uint8Array;
  readonly version: number;
  readonly czxid: number;
  readonly mzxid: number;
  /** Session of an ephemeral node; 0 for one that stays. */
  readonly owner: number;
};
/** What became of a node: what it is now, or that it is gone. */
export type Effect = { readonly path: string; readonly node: TreeNode | undefined };
export type Refusal = { readonly code: ZooKeeperErrorCode; readonly path: string; readonly index: number };
export type Tried =
  | { readonly ok: true; readonly effects: readonly Effect[]; readonly made: readonly (string | undefined)[] }
  | ({ readonly ok: false } & Refusal);

const sequence_digits = 10;
const nothing = new Uint8Array();

export class Tree {
  readonly nodes = new Map<string, TreeNode>([['/', { data: nothing, version: 0, czxid: 0, mzxid: 0, owner: 0 }]]);
  readonly #children = new Map<string, Set<string>>([['/', new Set()]]);
  /** By parent: when its children last changed, and how many it has ever had. */
  readonly pzxid = new Map<string, number>();
  readonly #made = new Map<string, number>();

  children(path: string): readonly string[] | undefined {
    const names = this.#children.get(path);
    return names === undefined ? undefined : [...names];
  }

  stat(path: string): Stat | undefined {
    const node = this.nodes.get(path);
    if (node === undefined) return undefined;
    return {
      version: node.version,
      czxid: hex(node.czxid),
      mzxid: hex(node.mzxid),
      ephemeral_owner: hex(node.owner),
      data_length: node.data.length,
      children: this.#children.get(path)?.size ?? 0,
    };
  }

  apply(effects: readonly Effect[], zxid: number): void {
    for (const { path, node } of effects) this.#put(path, node, zxid);
  }

  /** All or nothing; what is refused leaves no trace but in the counting of sequential nodes. */
  attempt(operations: readonly Operation[], session: number, zxid: number): Tried {
    const effects: Effect[] = [];
    const undo: Effect[] = [];
    const made: (string | undefined)[] = [];
    for (const [index, operation] of operations.entries()) {
      const done = this.#one(operation, session, zxid);
      if ('code' in done) {
        for (const before of undo.reverse()) this.#put(before.path, before.node, zxid);
        return { ok: false, code: done.code, path: operation.path, index };
      }
      made.push(done.made);
      if (done.effect === undefined) continue;
      undo.push({ path: done.effect.path, node: this.nodes.get(done.effect.path) });
      this.#put(done.effect.path, done.effect.node, zxid);
      effects.push(done.effect);
    }
    return { ok: true, effects, made };
  }

  #one(
    operation: Operation,
    session: number,
    zxid: number,
  ): { readonly effect?: Effect; readonly made?: string } | { readonly code: ZooKeeperErrorCode } {
    const found = this.nodes.get(operation.path);
    if (operation.type === 'create') {
      const parent = parentOf(operation.path);
      const above = this.nodes.get(parent);
      if (above === undefined) return { code: 'no-node' };
      if (above.owner !== 0) return { code: 'bad-arguments' };
      let path = operation.path;
      if (operation.sequential === true) {
        path += String(this.#made.get(parent) ?? 0).padStart(sequence_digits, '0');
      }
      if (this.nodes.has(path)) return { code: 'node-exists' };
      const owner = operation.ephemeral === true ? session : 0;
      const node = { data: operation.data, version: 0, czxid: zxid, mzxid: zxid, owner };
      return { effect: { path, node }, made: path };
    }
    if (found === undefined) return { code: 'no-node' };
    const { version = -1 } = operation;
    if (version !== -1 && version !== found.version) return { code: 'bad-version' };
    if (operation.type === 'check') return {};
    if (operation.type === 'delete') {
      if ((this.#children.get(operation.path)?.size ?? 0) > 0) return { code: 'not-empty' };
      return { effect: { path: operation.path, node: undefined } };
    }
    const node = { ...found, data: operation.data, version: found.version + 1, mzxid: zxid };
    return { effect: { path: operation.path, node } };
  }

  #put(path: string, node: TreeNode | undefined, zxid: number): void {
    const parent = parentOf(path);
    const name = path.slice(path.lastIndexOf('/') + 1);
    const before = this.nodes.has(path);
    if (node === undefined) {
      this.nodes.delete(path);
      this.#children.delete(path);
      this.#children.get(parent)?.delete(name);
    } else {
      this.nodes.set(path, node);
      if (!before) {
        this.#children.set(path, new Set());
        this.#children.get(parent)?.add(name);
        this.#made.set(parent, (this.#made.get(parent) ?? 0) + 1);
      }
    }
    if (before !== (node !== undefined)) this.pzxid.set(parent, zxid);
  }
}

export const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';
export const hex = (zxid: number): string => zxid.toString(16).padStart(16, '0');
