import{a,b}from"./chunk-VAMWGLYI.js";import"./chunk-FKV3C3ST.js";import"./chunk-MXWKQQRQ.js";import"./chunk-QQFDOKSW.js";import"./chunk-ONFQWQRN.js";export{b as Logs,a as default};
