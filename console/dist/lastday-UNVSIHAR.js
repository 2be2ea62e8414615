import{a}from"./chunk-WT46FX3R.js";import"./chunk-LQ3NDNUX.js";import"./chunk-YVQ3QDTO.js";import"./chunk-KTALL32T.js";import"./chunk-ONFQWQRN.js";export{a as LastDay};
