import{a,b}from"./chunk-OQZFWEYM.js";import"./chunk-K2FEAA7Z.js";import"./chunk-YVQ3QDTO.js";import"./chunk-FKVCHHOB.js";import"./chunk-ONFQWQRN.js";export{b as default,a as hosts};
