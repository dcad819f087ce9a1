import { podmanOnUfs } from './podman-overlay-cases.ts';

podmanOnUfs(true);
