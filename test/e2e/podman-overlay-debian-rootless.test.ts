import { debianOnUfs } from './podman-overlay-debian-cases.ts';

debianOnUfs(true);
