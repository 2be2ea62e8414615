import{a,b}from"./chunk-BIKIZRLX.js";import"./chunk-LQ3NDNUX.js";import"./chunk-YVQ3QDTO.js";import"./chunk-KTALL32T.js";import"./chunk-ONFQWQRN.js";export{b as default,a as hosts};
