import { describeHubsOn } from './promises.js';

describeHubsOn('stable');
