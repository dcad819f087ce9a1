import type { ContainerRecord } from './records.ts';
import type { StoreState } from './state.ts';
import { upperPath } from './paths.ts';
import { takenBelow } from './taken-space.ts';

/** Notes in the pool what a container's upper directory takes, where the pool has a limit. One that is mounted meanwhile is told of by its mount. */
export async function countUpper({ paths, pool }: StoreState, { number }: ContainerRecord): Promise<void> {
  if (pool.limit !== undefined) pool.setContainer(number, (await takenBelow(upperPath(paths.layer(number)))).mapped);
}

/** Brings the pool in line with a store that is opened. After a power cut nothing that mounts noted is sure, and all is counted anew. */
export async function settlePool(state: StoreState): Promise<void> {
  const { pool, table } = state;
  const isSure = pool.keepBoot();
  if (pool.limit === undefined) return;
  const containers = table.containers();
  pool.keepOnly(new Set(containers.map(({ number }) => number)));
  pool.setContent(state.contentSize.allocated);
  for (const container of containers) if (!isSure || pool.container(container.number) === undefined) await countUpper(state, container);
}

/** Sets the pool's limit, or takes it away. UFS_POOL_TOO_SMALL. */
export async function resizePool(state: StoreState, limit: number | undefined): Promise<void> {
  await state.serially(async () => {
    const { pool, table } = state;
    if (limit !== undefined && pool.limit === undefined) {
      for (const { number } of table.containers()) pool.setContainer(number, (await takenBelow(upperPath(state.paths.layer(number)))).mapped);
    }
    pool.resize(limit);
  });
}
